"""What every measurement records beside its numbers."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Versions and machine."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def by_processor(name: str) -> str:
    """The name of results whose figures belong to a kind of processor: docs/speed.md shows each."""
    return name if torch.cpu._is_amx_tile_supported() else f"{name}_without_amx"


def write(name: str, found: dict[str, Any]) -> Path:
    """Writes results/NAME.json; returns its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    return path


def interleaved(
    ways: dict[str, Callable[[], Any]], clock: Callable[[], float], n: int
) -> dict[str, list[float]]:
    """Seconds of each way, n times, one after the other, so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(n):
        order = list(ways) if turn % 2 == 0 else list(ways)[::-1]
        for name in order:
            before = clock()
            ways[name]()
            times[name].append(clock() - before)
    return times


def in_turns(
    ways: dict[str, Callable[[int], Any]], steps: int, block: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of each way's blocks of steps, in turns; the one that begins alternates."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn, first in enumerate(range(0, steps, block)):
        for name in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            before = clock()
            for index in range(first, min(first + block, steps)):
                ways[name](index)
            times[name].append(clock() - before)
    return times


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Ratio of paired times: median, and the smallest and largest of the pairs."""
    pairs = [a / b for a, b in zip(mine, theirs, strict=True)]
    return {"median": statistics.median(pairs), "low": min(pairs), "high": max(pairs)}
