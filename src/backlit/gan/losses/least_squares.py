"""Least squares instead of cross-entropy: far samples are pulled even where D is right."""

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor

from backlit.errors import RecipeError
from backlit.gan.losses.base import AdversarialLoss


@final
@dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """Least-squares loss.

    L_D = 1/2 E[(s(x) - b)^2] + 1/2 E[(s(G(z)) - a)^2],   L_G = 1/2 E[(s(G(z)) - c)^2].
    With b - c = 1 and b - a = 2 (a=-1, b=1, c=0) the game minimises Pearson's chi-squared
    divergence; a=0, b=1, c=1 makes G's samples as real as possible.

    Args:
        a: the score D should give a generated sample, default 0.
        b: the score D should give a real sample, default 1.
        c: the score G wants for its samples, default 1.

    Raises:
        RecipeError: a target that is not finite, or a = b.

    Source: Mao et al. 2017, "Least Squares Generative Adversarial Networks", equations 2, 8, 9.
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(target) for target in (self.a, self.b, self.c)):
            raise RecipeError(
                f"least_squares needs finite targets, got a={self.a}, b={self.b}, c={self.c}"
            )
        if self.a == self.b:
            raise RecipeError(
                f"least_squares needs a != b, got both {self.a}: D would have nothing to learn"
            )

    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        real, fake = (real_scores - self.b).square(), (fake_scores - self.a).square()
        return 0.5 * real.mean() + 0.5 * fake.mean()

    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return 0.5 * (fake_scores - self.c).square().mean()
