"""Adversarial networks without convolutions: points on a line or plane, and small pictures."""

from itertools import pairwise

from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.registry import Count, Probability


class PointGenerator(nn.Sequential):
    """Noise (N, latent) to points (N, dims), through two hidden layers of ReLU.

    Args:
        latent: length of the noise vector, default 2.
        dims: coordinates of a point, 1 (a line) or 2 (a plane) for drawing; default 2.
        width: units of each hidden layer, default 64.

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets", figure 1.
    """

    def __init__(self, latent: Count = 2, dims: Count = 2, width: Count = 64) -> None:
        super().__init__(
            nn.Linear(latent, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, dims),
        )
        self.latent = latent


class PointDiscriminator(nn.Sequential):
    """Points (N, dims) to raw scores (N, 1), through two hidden layers of leaky ReLU.

    Args:
        dims: coordinates of a point, default 2.
        width: units of each hidden layer, default 64.

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets", figure 1.
    """

    def __init__(self, dims: Count = 2, width: Count = 64) -> None:
        super().__init__(
            nn.Linear(dims, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )


class MLPGenerator(nn.Module):
    """Noise (N, latent) to pictures (N, channels, size, size) in [-1, 1], fully connected.

    Args:
        latent: length of the noise vector, default 64.
        channels: channels of the picture, default 1.
        size: side of the picture in pixels, default 28.
        width: units of the first hidden layer, default 256.
        depth: hidden layers of ReLU, each twice as wide as the one before, default 2.

    Raises:
        RecipeError: depth below 1.

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets", section 5 (both players
    multilayer perceptrons).
    """

    def __init__(
        self,
        latent: Count = 64,
        channels: Count = 1,
        size: Count = 28,
        width: Count = 256,
        depth: Count = 2,
    ) -> None:
        super().__init__()
        _check_depth("generator", depth)
        self.latent = latent
        widths = [latent, *(width * 2**i for i in range(depth))]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.layers = nn.Sequential(
            *layers,
            nn.Linear(widths[-1], channels * size * size),
            nn.Tanh(),
            nn.Unflatten(1, (channels, size, size)),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)  # (N, C, S, S)


class MLPDiscriminator(nn.Module):
    """Pictures (N, channels, size, size) to raw scores (N, 1), fully connected.

    Args:
        channels: channels of the picture, default 1.
        size: side of the picture in pixels, default 28.
        width: units of the last hidden layer, default 256.
        depth: hidden layers of leaky ReLU, each half as wide as the one before, default 2.
        dropout: probability of dropping a hidden unit, default 0 (0.3 to 0.5 is usual).

    Raises:
        RecipeError: depth below 1.

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets", section 5 (dropout in D).
    """

    def __init__(
        self,
        channels: Count = 1,
        size: Count = 28,
        width: Count = 256,
        depth: Count = 2,
        dropout: Probability = 0.0,
    ) -> None:
        super().__init__()
        _check_depth("discriminator", depth)
        widths = [channels * size * size, *(width * 2**i for i in reversed(range(depth)))]
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # (N, 1)


def _check_depth(what: str, depth: int) -> None:
    if depth < 1:
        raise RecipeError(f"MLP {what}: depth must be at least 1 hidden layer, got {depth!r}")
