"""What the loop needs of the thing it trains."""

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

Progress = Callable[[str], None]
"""Told what is being done, a line each."""


class Trainable(Protocol):
    """A whole training step with nothing hidden: state in, state out.

    Attributes:
        state: flat name -> tensor; everything that decides the future (parameters, buffers,
            optimiser state, moving averages). `step` may write into the tensors in place.
    """

    state: dict[str, Tensor]

    @property
    def description(self) -> dict[str, Any]:
        """Networks, loss, optimisers, shapes as JSON-able values: the run's identity."""
        ...

    def prepare(self, batch: Tensor, mode: str, progress: Progress | None = None) -> str:
        """Capture and compile for this batch shape; return the mode really used.

        Args:
            batch: (N, C, H, W) uint8.
            mode: "plain", "compiled" or "watched"; "compiled" may fall back to "plain".
        """
        ...

    def step(self, batch: Tensor, index: int) -> dict[str, Tensor]:
        """Run iteration `index` (from 0); return 0-d metrics, loss_d and loss_g among them."""
        ...

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over the values of a saved state."""
        ...

    def first_nonfinite(self, batch: Tensor, index: int, state_before: dict[str, Tensor]) -> str:
        """Return the first gate of step `index` with a NaN or infinity, "" where there is none."""
        ...

    def sample(self, z: Tensor) -> Tensor:
        """Return pictures (N, C, H, W), float in [-1, 1], from the averaged generator."""
        ...

    def noise(self, n: int, seed: int) -> Tensor:
        """Return n latent inputs that depend on the seed alone."""
        ...
