"""What tests counted, printed when they end; the workers of a parallel run send theirs home."""

from __future__ import annotations

TALLY: dict[str, dict[str, int]] = {}


def count(section: str, what: str, n: int = 1) -> None:
    """Adds n to a line of a section; n = 0 is a line of text without a number."""
    lines = TALLY.setdefault(section, {})
    lines[what] = lines.get(what, 0) + n
