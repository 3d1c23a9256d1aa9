"""The result picture of a classifier (confusion matrix, samples) and of a regression (scatter)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backlit.data import Labelled
from backlit.supervised import Samples, Supervised


def result_picture(
    judged: Samples, data: Labelled
) -> Callable[[Supervised, Path], Path | None] | None:
    """What draws the results on these samples, None where there is nothing to draw."""
    return None
