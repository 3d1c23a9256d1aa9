"""What watching costs: reading the metrics, the probes, and keeping every wire of every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backlit.bench.interleaved import Plan, ratio, timed
from backlit.bench.peers import Losses, StepOf
from backlit.bench.rows import find_row
from backlit.bench.ways import backlit_step, with_threads

EVERY = 50


WATCHED = ("metrics_every_50", "probes_every_step", "watched")


def probe_cost(name: str, plan: Plan, chosen: Sequence[str] = WATCHED) -> dict[str, Any]:
    """Time of a watched step over that of the same step left alone.

    Args:
        name: the row's, as `find_row` takes it.
        plan: its `pairs` samples are taken of each.
        chosen: which ways of watching; all by default.
    Returns: metrics_every_50 (each 50th step's metrics read as numbers), probes_every_step (all
        probes computed in every step) and watched (every value on every wire kept in every step,
        gate by gate), each a ratio with its interval.
    """
    row = find_row(name, plan.device)
    makers: dict[str, Callable[[], StepOf]] = {
        "alone": lambda: backlit_step(row, "compiled"),
        "metrics_every_50": lambda: _read(backlit_step(row, "compiled")),
        "probes_every_step": lambda: backlit_step(row, "compiled", probed=True),
        "watched": lambda: backlit_step(row, "watched"),
    }
    ways = {name: with_threads(row, makers[name]) for name in ("alone", *chosen)}
    for step, _ in ways.values():
        step(0, False)  # what is compiled on the first call
    times = timed(ways, plan)
    return {name: ratio(times[name], times["alone"]) for name in ways if name != "alone"}


def _read(step: StepOf) -> StepOf:
    def reading(index: int, exact: bool = False) -> Losses:
        losses = step(index, exact)
        if index % EVERY == 0:
            for value in losses.values():
                float(value)
        return losses

    return reading
