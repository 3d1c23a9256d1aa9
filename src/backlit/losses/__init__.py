"""Loss functions as small files, each with its source and equation.

A loss is a `torch.nn.Module` called with a network's outputs and the targets, returning one
number (0-d) to minimise. Scores are raw: each loss applies its own sigmoid or softmax, so it
stays finite. Any loss of `torch.nn` serves in the same place. `loss` builds one by name.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from backlit.losses.angular import AngularMargin, ArcFace, CosFace, SphereFace
from backlit.losses.binary_cross_entropy import BinaryCrossEntropy
from backlit.losses.boxes import BoxLoss, CIoU, DIoU, GIoU, IoU, ciou, diou, giou, iou
from backlit.losses.center import Center
from backlit.losses.cross_entropy import CrossEntropy
from backlit.losses.detection import Detection
from backlit.losses.feature_softmax import FeatureSoftmax
from backlit.losses.focal import Focal
from backlit.losses.hinge import (
    BinaryHinge,
    MulticlassHinge,
    l1_regularisation,
    l2_regularisation,
)
from backlit.losses.kl import KLDivergence
from backlit.losses.regression import L1, L2, Quadratic
from backlit.losses.triplet import BatchHardTriplet, Triplet
from backlit.registry import build

LOSSES: dict[str, Callable[..., nn.Module]] = {
    "arcface": ArcFace,
    "batch_hard_triplet": BatchHardTriplet,
    "binary_cross_entropy": BinaryCrossEntropy,
    "binary_hinge": BinaryHinge,
    "center": Center,
    "ciou": CIoU,
    "cosface": CosFace,
    "cross_entropy": CrossEntropy,
    "detection": Detection,
    "diou": DIoU,
    "feature_softmax": FeatureSoftmax,
    "focal": Focal,
    "giou": GIoU,
    "hinge": MulticlassHinge,
    "iou": IoU,
    "kl": KLDivergence,
    "l1": L1,
    "l2": L2,
    "quadratic": Quadratic,
    "sphereface": SphereFace,
    "triplet": Triplet,
}


def loss(name: str, **options: Any) -> nn.Module:
    """Return a new loss of that name, with the options its class states.

    Raises:
        RecipeError: an unknown name or option (the allowed ones and the nearest are listed),
            or an option's value that is not allowed.
    """
    return build("loss", LOSSES, name, options)


__all__ = [
    "L1",
    "L2",
    "LOSSES",
    "AngularMargin",
    "ArcFace",
    "BatchHardTriplet",
    "BinaryCrossEntropy",
    "BinaryHinge",
    "BoxLoss",
    "CIoU",
    "Center",
    "CosFace",
    "CrossEntropy",
    "DIoU",
    "Detection",
    "FeatureSoftmax",
    "Focal",
    "GIoU",
    "IoU",
    "KLDivergence",
    "MulticlassHinge",
    "Quadratic",
    "SphereFace",
    "Triplet",
    "ciou",
    "diou",
    "giou",
    "iou",
    "l1_regularisation",
    "l2_regularisation",
    "loss",
]
