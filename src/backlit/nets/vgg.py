"""VGG: depth from small kernels, 3x3 everywhere."""

import math

from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.nets.initial import he_normal
from backlit.registry import Count, Probability

# Convolutions in each of the five stages; a 2x2 pool ends each stage.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """VGG: pictures (N, channels, size, size) to scores (N, classes).

    3x3 convolutions of stride 1 and padding 1, 2x2 pools, channels from `width` to 8 `width`,
    then two hidden layers. With size 224 the state dict has the names and shapes of
    torchvision's VGG of that depth, so those weights load.

    Args:
        depth: layers with weights, one of 11, 13, 16, 19; default 16.
        batch_norm: normalise after every convolution, default False.
        classes: scores per picture, default 1000.
        channels: channels of the picture, default 3.
        size: side of the picture in pixels, a multiple of 32; default 224.
        width: channels of the first stage, default 64.
        hidden: units of the two hidden layers; default 4096 at 224 px, else 8 `width`.
        dropout: probability of dropping a hidden unit, default 0.5.

    Raises:
        RecipeError: a depth or size that is not allowed.

    Source: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", table 1, columns A, B, D, E.
    """

    def __init__(
        self,
        depth: Count = 16,
        batch_norm: bool = False,
        classes: Count = 1000,
        channels: Count = 3,
        size: Count = 224,
        width: Count = 64,
        hidden: Count | None = None,
        dropout: Probability = 0.5,
    ) -> None:
        super().__init__()
        if depth not in STAGES:
            raise RecipeError(f"vgg: depth must be one of 11, 13, 16, 19, got {depth!r}")
        if size < 32 or size % 32:
            raise RecipeError(
                f"vgg: size must be a multiple of 32 pixels, got {size!r}; "
                "pad or scale the pictures"
            )
        layers: list[nn.Module] = []
        inputs = channels
        for convolutions, factor in zip(STAGES[depth], (1, 2, 4, 8, 8), strict=True):
            for _ in range(convolutions):
                layers.append(nn.Conv2d(inputs, width * factor, 3, padding=1))
                inputs = width * factor
                if batch_norm:
                    layers.append(nn.BatchNorm2d(inputs))
                layers.append(nn.ReLU())
            layers.append(nn.MaxPool2d(2))
        side = size // 32
        if hidden is None:
            hidden = 4096 if size == 224 else 8 * width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((side, side))
        self.classifier = nn.Sequential(
            nn.Linear(inputs * side * side, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        he_normal(self)
        for layer in self.classifier:
            if isinstance(layer, nn.Linear):
                # torchvision's 0.01 suits its wide layers; in narrow ones the scores would vanish.
                std = 0.01 if hidden == 4096 else math.sqrt(2 / layer.in_features)
                nn.init.normal_(layer.weight, 0.0, std)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # (N, classes)
