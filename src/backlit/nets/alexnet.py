"""AlexNet twice: with the layout whose weights people have, and with the figures of the paper."""

from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.registry import Count, Probability


class AlexNet(nn.Module):
    """AlexNet in one tower: (N, channels, 224, 224) to scores (N, classes).

    Its state dict has the names and shapes of torchvision's AlexNet, so those weights load.

    Args:
        classes: scores per picture, default 1000.
        channels: channels of the picture, default 3.
        dropout: probability of dropping a unit of the two hidden layers, default 0.5.

    Source: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks".
    """

    def __init__(
        self, classes: Count = 1000, channels: Count = 3, dropout: Probability = 0.5
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = _classifier(classes, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))  # (N, classes)


class AlexNet2012(nn.Module):
    """AlexNet with the paper's figures: (N, channels, 224, 224) to scores (N, classes).

    96 kernels of 11x11 with stride 4, 256 of 5x5, 384, 384 and 256 of 3x3, overlapping 3x3
    pools of stride 2 after the first, second and fifth; 4096, 4096 and `classes` units.

    Args:
        classes: scores per picture, default 1000.
        channels: channels of the picture, default 3.
        groups: 2 (default) splits the second, fourth and fifth convolution between two halves
            that do not see each other, as between the paper's two GPUs; 1 joins them.
        response_norm: local response normalisation after the first two convolutions, default
            False (it costs time and later work found no gain from it).
        dropout: probability of dropping a unit of the two hidden layers, default 0.5.

    Raises:
        RecipeError: groups other than 1 or 2.

    Source: Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural
    Networks", figure 2 and sections 3.2-3.5; on response_norm Simonyan & Zisserman 2015,
    section 4.1.
    """

    def __init__(
        self,
        classes: Count = 1000,
        channels: Count = 3,
        groups: int = 2,
        response_norm: bool = False,
        dropout: Probability = 0.5,
    ) -> None:
        super().__init__()
        if groups not in (1, 2):
            raise RecipeError(f"alexnet_2012: groups must be 1 or 2, got {groups!r}")
        # torch divides alpha by the window; the paper's 1e-4 multiplies the plain sum.
        norm = [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)] if response_norm else []
        self.features = nn.Sequential(
            nn.Conv2d(channels, 96, 11, stride=4, padding=2),
            nn.ReLU(),
            *norm,
            nn.MaxPool2d(3, 2),
            nn.Conv2d(96, 256, 5, padding=2, groups=groups),
            nn.ReLU(),
            *norm,
            nn.MaxPool2d(3, 2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )
        self.classifier = _classifier(classes, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # (N, classes)


def _classifier(classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(256 * 6 * 6, 4096),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, classes),
    )
