"""What the loop needs of the thing it trains."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from backlit.step import Kernels, Readings
from backlit.supervised import Lanes, Samples, Scores

Progress = Callable[[str], None]
"""Told what is being done, a line each."""


class Trainable(Protocol):
    """A whole training step with nothing hidden: state in, state out.

    Attributes:
        state: flat name -> tensor; everything that decides the future (parameters, buffers,
            optimiser state, moving averages). `step` may write into the tensors in place.
        chosen: what the last `prepare` settled beside the mode, JSON-able: "precision",
            "kernels".
    """

    state: dict[str, Tensor]
    chosen: dict[str, Any]

    @property
    def description(self) -> dict[str, Any]:
        """Networks, loss, optimisers, shapes as JSON-able values: the run's identity."""
        ...

    def prepare(
        self,
        batch: Any,
        mode: str,
        progress: Progress | None = None,
        precision: str | None = None,
        kernels: Kernels = None,
    ) -> str:
        """Capture and compile for this batch shape; return the mode really used.

        Args:
            batch: what the data set gives: (N, C, H, W) uint8, or tensors by name.
            mode: "plain", "compiled" or "watched"; "compiled" may fall back to "plain".
            precision: "float32", "bfloat16", "float64" or "auto"; None for the networks' own.
            kernels: of a compiled step: "auto", what an earlier `prepare` chose, or None for
                PyTorch's own.
        """
        ...

    def step(self, batch: Any, index: int) -> dict[str, Tensor]:
        """Run iteration `index` (from 0); return 0-d metrics."""
        ...

    def prepare_several(self, batches: Sequence[Any], progress: Progress | None = None) -> None:
        """Compile as many iterations as there are batches into one call for `run`."""
        ...

    def run(self, batches: Sequence[Any], index: int) -> list[dict[str, Tensor]]:
        """Run as many iterations as there are batches from `index` on; return their metrics."""
        ...

    def seconds(self, batch: Any) -> float:
        """Return the time of one iteration as prepared; the state is left as it was."""
        ...

    def work(self) -> tuple[int, int]:
        """Of one iteration: how many gates, how many operations of the costly ones."""
        ...

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over the values of a saved state."""
        ...

    def first_nonfinite(self, batch: Any, index: int, state_before: dict[str, Tensor]) -> str:
        """Return the first gate of step `index` with a NaN or infinity, "" where there is none."""
        ...


@runtime_checkable
class Probed(Trainable, Protocol):
    """A step that can tell of its inside as it runs."""

    def probe(
        self, batch: Any, index: int, progress: Progress | None = None
    ) -> tuple[dict[str, Tensor], Readings]:
        """Run iteration `index` as `step` does; return its metrics and what the probes read."""
        ...


@runtime_checkable
class Generates(Trainable, Protocol):
    """A game: it makes pictures, which are what a run shows."""

    def sample(self, z: Tensor) -> Tensor:
        """Return pictures (N, C, H, W), float in [-1, 1], from the averaged generator."""
        ...

    def noise(self, n: int, seed: int) -> Tensor:
        """Return n latent inputs that depend on the seed alone."""
        ...


@runtime_checkable
class Evaluates(Trainable, Protocol):
    """A supervised step: it answers, and answers can be judged."""

    def evaluate(
        self, x: Tensor, y: Tensor, batch: int = 256, **inputs: Tensor
    ) -> dict[str, float]:
        """Return "loss" and, of a classifier, "accuracy", in evaluation mode."""
        ...

    def scores(
        self, x: Tensor, y: Tensor, classes: Sequence[str] = (), batch: int = 256, **inputs: Tensor
    ) -> Scores:
        """Return a classifier's scores, in evaluation mode."""
        ...

    def prune(self, share: float) -> float:
        """Hold this share of the weights at 0, the smallest; return the share that is 0."""
        ...


def noun_of(data: object) -> str:
    """What the members of a data set are called: a game's are pictures."""
    nouns = {Samples: "samples", Lanes: "lanes"}
    return nouns.get(type(data), "pictures")
