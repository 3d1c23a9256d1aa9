"""The gradient penalty of WGAN-GP: the critic's slope between real and generated is near one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from backlit.gan.penalties.base import Penalty
from backlit.graph import Noise


@dataclass(frozen=True)
class GradientPenalty(Penalty):
    """λ · E[(‖∇ₓ̂ D(x̂)‖ − 1)²], x̂ = ε x + (1 − ε) G(z), ε ~ U(0, 1) for each picture.

    Args:
        weight: λ.
        target: the norm aimed at.
        every: lazy regularisation interval.
    Source: Gulrajani et al. 2017, equation (3) and algorithm 1.
    """

    weight: float = 10.0
    target: float = 1.0
    every: int = 1
    on: ClassVar[str] = "between"

    def value(self, scores: Tensor, grad: Tensor) -> Tensor:
        # (a vector norm's slope at 0 is taken as 0, so a dead critic gives no NaN)
        norm = grad.flatten(1).norm(dim=1)
        return ((norm - self.target) ** 2).mean() * self.weight

    def noise(self, like: Tensor) -> Mapping[str, Noise]:
        shape = (like.shape[0], *(1,) * (like.dim() - 1))
        return {"epsilon": Noise("uniform", shape, like.dtype, str(like.device))}
