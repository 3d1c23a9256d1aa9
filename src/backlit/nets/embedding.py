"""Pictures to feature vectors, for recognising who is in them."""

from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.nets.initial import he_normal
from backlit.registry import Count


class Embedding(nn.Module):
    """Pictures (N, channels, size, size) to features (N, dimensions), three halvings on the way.

    A loss over features (`losses.ArcFace`, `losses.FeatureSoftmax`, ...) keeps the classes.

    Args:
        channels: channels of the picture, default 3.
        size: edge of the picture in pixels, a multiple of 8; default 32.
        dimensions: length of a feature vector, default 2 (which can be drawn); the loss's
            `features`.
        width: channels after the first halving, default 8; twice as many after each.

    Raises:
        RecipeError: a size that is no multiple of 8.

    Source: Wen et al. 2016, "A Discriminative Feature Learning Approach for Deep Face
    Recognition", table 1 (a smaller one, with batch norm).
    """

    def __init__(
        self, channels: Count = 3, size: Count = 32, dimensions: Count = 2, width: Count = 8
    ) -> None:
        super().__init__()
        if size % 8:
            raise RecipeError(f"embedding: size must be a multiple of 8 pixels, got {size}")
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)]
            layers += [nn.PReLU(outputs), nn.MaxPool2d(2)]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(4 * width * (size // 8) ** 2, dimensions)
        he_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).flatten(1))  # (N, dimensions)
