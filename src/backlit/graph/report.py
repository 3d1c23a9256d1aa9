"""What a check found: one line for each parameter and input, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One parameter or input of the check.

    Attributes:
        name: the parameter's or input's name.
        shape: its shape.
        how: ``"coordinates"`` (every element was moved) or ``"projections"`` (random directions).
        tried: number of elements or directions.
        size: largest absolute value of its analytic gradient.
        error: largest difference between numerical and analytic, relative to the gradient.
        verdict: ``"ok"``, ``"kink"`` (not differentiable at this point) or ``"wrong"``.
        gate: for a kink or a wrong gradient, the gates that show it alone.
    """

    name: str
    shape: tuple[int, ...]
    how: str
    tried: int
    size: float
    error: float
    verdict: str
    gate: str = ""


@dataclass(frozen=True)
class Report:
    """Numerical against analytic gradients.

    Attributes:
        title: what was checked.
        entries: a line for each parameter and input.
        tolerance: the relative error that passes.
    """

    title: str
    entries: tuple[Entry, ...]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether no gradient is wrong; a kink is not a failure."""
        return all(entry.verdict != "wrong" for entry in self.entries)

    @property
    def worst(self) -> Entry | None:
        """The entry of largest error, wrong ones first, then smooth ones, then kinks."""
        order = {"wrong": 2, "ok": 1, "kink": 0}
        return max(self.entries, key=lambda e: (order[e.verdict], e.error), default=None)

    def __str__(self) -> str:
        head = ("", "name", "shape", "tried", "|gradient|", "error", "gate")
        rows = [head] + [
            (
                {"ok": "✓", "kink": "∧", "wrong": "✗"}[e.verdict],
                e.name,
                "×".join(map(str, e.shape)) or "number",
                f"{e.tried} {e.how}",
                f"{e.size:.3g}",
                f"{e.error:.1e}",
                f"{e.verdict}: {e.gate}" if e.gate else "",
            )
            for e in self.entries
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        kinks = sum(e.verdict == "kink" for e in self.entries)
        wrong = sum(e.verdict == "wrong" for e in self.entries)
        verdict = "passed" if self.passed else f"FAILED: {wrong} of {len(self.entries)} wrong"
        worst = f", largest error {self.worst.error:.1e}" if self.worst else ""
        kinks_text = f", {kinks} at a kink" if kinks else ""
        return "\n".join(
            [
                f"{self.title}: numerical against analytic gradients in float64",
                *lines,
                f"{verdict}{worst}{kinks_text} (tolerance {self.tolerance:g})",
            ]
        )
