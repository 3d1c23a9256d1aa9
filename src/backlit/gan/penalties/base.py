"""What every penalty is: one number added to the discriminator's loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

from backlit.graph import Noise

# A critic's scores and their gradient with respect to its input: x (N, C, H, W) ->
# (scores, d sum(scores) / dx (N, C, H, W)), both differentiable by Backlit's own rules.
Critic = Callable[[Tensor], tuple[Tensor, Tensor]]


class Penalty(ABC):
    """A number computed from the critic's gradient with respect to its input.

    Attributes:
        on: which pictures the critic is asked about: ``"real"``, ``"fake"`` or ``"between"``
            (a random point on the line from a real to a generated picture).
        every: apply it on each `every`-th iteration, multiplied by `every` (lazy
            regularisation; Karras et al. 2020, appendix B). 1 is every iteration.
    """

    on: ClassVar[str]
    every: int = 1

    @abstractmethod
    def value(self, scores: Tensor, grad: Tensor) -> Tensor:
        """The penalty (0-d), from the scores and their gradient of shape (N, ...)."""

    def noise(self, like: Tensor) -> Mapping[str, Noise]:
        """The noise it draws in each step."""
        return {}
