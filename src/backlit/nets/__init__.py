"""Networks in plain torch.nn, a file a family; `network(name, **options)` builds one by name.

They are ordinary modules: any of them trains without Backlit, and any `torch.nn.Module` of a
user's own takes their place. Pictures are (N, C, H, W); generators take noise (N, latent) and
say its length in `.latent`; discriminators return raw scores (N, 1).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from backlit.nets.activations import ACTIVATIONS, Step, activation
from backlit.nets.alexnet import AlexNet, AlexNet2012
from backlit.nets.convert import linear_as_convolution
from backlit.nets.dcgan import DCGANDiscriminator, DCGANGenerator
from backlit.nets.dense import MLP, LogisticRegression, TwoLayer
from backlit.nets.detector import Detector
from backlit.nets.embedding import Embedding
from backlit.nets.four_equations import FourEquations, four_equations
from backlit.nets.lenet import LeNet
from backlit.nets.mlp_gan import (
    MLPDiscriminator,
    MLPGenerator,
    PointDiscriminator,
    PointGenerator,
)
from backlit.nets.recurrent import (
    CharacterModel,
    Recurrent,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
)
from backlit.nets.resnet import ResNet
from backlit.nets.vgg import VGG
from backlit.registry import build

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "alexnet": AlexNet,
    "alexnet_2012": AlexNet2012,
    "character_model": CharacterModel,
    "dcgan_discriminator": DCGANDiscriminator,
    "dcgan_generator": DCGANGenerator,
    "detector": Detector,
    "embedding": Embedding,
    "lenet": LeNet,
    "logistic_regression": LogisticRegression,
    "mlp": MLP,
    "mlp_discriminator": MLPDiscriminator,
    "mlp_generator": MLPGenerator,
    "point_discriminator": PointDiscriminator,
    "point_generator": PointGenerator,
    "resnet": ResNet,
    "resnet18": partial(ResNet, (2, 2, 2, 2), 64),
    "resnet20": partial(ResNet, (3, 3, 3), 16, classes=10, stem="small"),
    "sequence_classifier": SequenceClassifier,
    "sequence_regressor": SequenceRegressor,
    "sequence_tagger": SequenceTagger,
    "two_layer": TwoLayer,
    "vgg11": partial(VGG, 11, False),
    "vgg11_bn": partial(VGG, 11, True),
    "vgg13": partial(VGG, 13, False),
    "vgg13_bn": partial(VGG, 13, True),
    "vgg16": partial(VGG, 16, False),
    "vgg16_bn": partial(VGG, 16, True),
    "vgg19": partial(VGG, 19, False),
    "vgg19_bn": partial(VGG, 19, True),
}


def network(name: str, **options: Any) -> nn.Module:
    """Return a new network of that name, with the options its class states.

    Raises:
        RecipeError: an unknown name or option (the allowed ones and the nearest are listed),
            or an option's value that is not allowed.
    """
    return build("network", NETWORKS, name, options)


__all__ = [
    "ACTIVATIONS",
    "MLP",
    "NETWORKS",
    "VGG",
    "AlexNet",
    "AlexNet2012",
    "CharacterModel",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Detector",
    "Embedding",
    "FourEquations",
    "LeNet",
    "LogisticRegression",
    "MLPDiscriminator",
    "MLPGenerator",
    "PointDiscriminator",
    "PointGenerator",
    "Recurrent",
    "ResNet",
    "SequenceClassifier",
    "SequenceRegressor",
    "SequenceTagger",
    "Step",
    "TwoLayer",
    "activation",
    "four_equations",
    "linear_as_convolution",
    "network",
]
