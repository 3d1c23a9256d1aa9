"""Prints what the gate checks compared, and where PyTorch had nothing to compare with."""

from __future__ import annotations

import pytest

from tests.gates.helper import Checked

TOTAL = Checked()


@pytest.fixture
def checked() -> Checked:
    """The session's tally; its counts and reasons are printed at the end."""
    return TOTAL


def pytest_terminal_summary(terminalreporter) -> None:
    if TOTAL.counts:
        terminalreporter.section("gate checks")
        for what, count in sorted(TOTAL.counts.items()):
            terminalreporter.write_line(f"{count:6d}  {what}")
        for reason in sorted(set(TOTAL.reasons)):
            terminalreporter.write_line(f"  {TOTAL.reasons.count(reason)} x {reason}")
