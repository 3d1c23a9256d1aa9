"""What watching costs: reading the metrics, and keeping every wire of every step."""

from __future__ import annotations

from typing import Any

from backlit.bench.interleaved import Plan, ratio, timed
from backlit.bench.peers import Losses, StepOf
from backlit.bench.rows import find_row
from backlit.bench.ways import backlit_step, with_threads

EVERY = 50


def probe_cost(name: str, plan: Plan) -> dict[str, Any]:
    """Time of a watched step over that of the same step left alone.

    Args:
        name: the row's, as `find_row` takes it.
        plan: its `pairs` samples are taken of each.
    Returns: metrics_every_50 (each 50th step's metrics read as numbers) and watched (every value
        on every wire kept in every step, gate by gate), each a ratio with its interval.
    """
    row = find_row(name)
    ways = {
        "alone": with_threads(row, lambda: backlit_step(row, "compiled")),
        "metrics_every_50": with_threads(row, lambda: _read(backlit_step(row, "compiled"))),
        "watched": with_threads(row, lambda: backlit_step(row, "watched")),
    }
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
