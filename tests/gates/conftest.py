"""Counts what the gate checks compared, and where PyTorch had nothing to compare with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gates.helper import Checked
from tests.tally import count


@pytest.fixture
def checked() -> Iterator[Checked]:
    """One test's counts and reasons; added up and printed when all tests end."""
    mine = Checked()
    yield mine
    for what, n in mine.counts.items():
        count("gate checks", what, n)
    for reason in mine.reasons:
        count("gate checks", f"numerical only: {reason}")
