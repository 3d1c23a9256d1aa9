"""When a number becomes NaN or infinite: which gate was the first."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from backlit.train.trainable import Trainable


def nonfinite_metric(metrics: Mapping[str, float]) -> str | None:
    """Return "loss_d is nan" for the first metric that is not finite, or None."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            return f"{name} is {value}"
    return None


def nonfinite_tensor(state: Mapping[str, Tensor]) -> str | None:
    """Return the first tensor of a state with a NaN or an infinity, or None."""
    for name, value in state.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            return name
    return None


def snapshot(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy of a state that later steps do not touch."""
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def find_gate(
    game: Trainable,
    batch: Callable[[int], Any],
    start: int,
    state: dict[str, Tensor],
    last: int,
    progress: Callable[[int, int], None],
) -> str:
    """Return the gate that first produced a NaN or infinity, "" where a replay shows none.

    The step whose numbers are bad is often not the one that made them so: a gradient can
    overflow while the losses are finite. So the steps are repeated from a good state, and the
    first that ends badly is the one looked into.

    Args:
        game: what is trained; its state is lost.
        batch: gives the batch of an iteration.
        start: iteration to begin with.
        state: the good state before `start`.
        last: the last iteration to look at.
        progress: called with the steps repeated so far and their number.
    """
    game.load(state)
    for index in range(start, last + 1):
        before = snapshot(game.state)
        metrics = game.step(batch(index), index)
        bad = nonfinite_metric({name: float(value) for name, value in metrics.items()})
        if bad or nonfinite_tensor(game.state):
            return game.first_nonfinite(batch(index), index, before)
        progress(index + 1 - start, last + 1 - start)
    return ""
