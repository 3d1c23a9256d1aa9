"""R1 and R2: the squared gradient norm of the critic on real or on generated pictures."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from backlit.gan.penalties.base import Penalty


@dataclass(frozen=True)
class R1(Penalty):
    """γ/2 · E[‖∇ₓ D(x)‖²] over real pictures.

    Args:
        gamma: weight γ.
        every: lazy regularisation interval.
    Source: Mescheder, Geiger and Nowozin 2018, equation (9).
    """

    gamma: float = 1.0
    every: int = 1
    on: ClassVar[str] = "real"

    def value(self, scores: Tensor, grad: Tensor) -> Tensor:
        return (grad * grad).flatten(1).sum(1).mean() * (self.gamma / 2)


@dataclass(frozen=True)
class R2(R1):
    """γ/2 · E[‖∇ₓ D(x)‖²] over generated pictures.

    Source: Mescheder, Geiger and Nowozin 2018, equation (10).
    """

    on: ClassVar[str] = "fake"
