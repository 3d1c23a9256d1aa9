"""LeNet-5, the first convolutional network that read cheques."""

from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.nets.activations import activation as make_activation
from backlit.registry import Count


class LeNet(nn.Module):
    """LeNet-5: pictures (N, channels, size, size) to scores (N, classes).

    6 kernels of 5x5, 2x2 pooling, 16 of 5x5, 2x2 pooling, then 120, 84 and `classes` units.
    The paper's sparse table of connections and RBF output are left out, as is usual today.

    Args:
        channels: channels of the picture, default 1.
        classes: scores per picture, default 10.
        size: 28 (padded by 2 inside; default) or 32 pixels.
        activation: default "relu" (the paper's is "tanh").
        pool: "max" (default) or "average" (the paper's, without its two weights).

    Raises:
        RecipeError: an unknown activation, size or pooling.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition",
    figure 2.
    """

    def __init__(
        self,
        channels: Count = 1,
        classes: Count = 10,
        size: Count = 28,
        activation: str = "relu",
        pool: str = "max",
    ) -> None:
        super().__init__()
        if size not in (28, 32):
            raise RecipeError(f"lenet: size must be 28 or 32 pixels, got {size!r}")
        if pool not in ("max", "average"):
            raise RecipeError(f"lenet: pool must be max or average, got {pool!r}")
        pooling = nn.MaxPool2d if pool == "max" else nn.AvgPool2d
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=(32 - size) // 2),
            make_activation(activation),
            pooling(2),
            nn.Conv2d(6, 16, 5),
            make_activation(activation),
            pooling(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(400, 120),
            make_activation(activation),
            nn.Linear(120, 84),
            make_activation(activation),
            nn.Linear(84, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))  # (N, classes)
