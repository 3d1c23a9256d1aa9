"""All alternatives of a row in one process, one after the other, so that all meet the same machine.

First each takes its first steps on the same noise, whose losses are compared; then they are
timed in turns, the order changing with each; the figures are ratios of medians with intervals.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from backlit.bench.alone import alone
from backlit.bench.peers import StepOf, Style, torch_step, wait_for
from backlit.bench.roof import needs
from backlit.bench.rows import find_row, trained
from backlit.bench.ways import OURS, REFERENCE, WAYS, Way, build
from backlit.devices import wait_for_devices
from backlit.errors import BacklitError

Say = Callable[[str], None]
SAMPLE_S = 0.2  # a sample runs as many steps as fill about this time


@dataclass(frozen=True)
class Plan:
    """How thoroughly a row is measured.

    Attributes:
        pairs: timed samples of each alternative, at least 2.
        steps: steps whose losses are compared.
        alone: also measure memory and compile time, each alternative in a process of its own.
        ways: names of the alternatives; all by default.
        device: where networks and batches lie: "cpu", "cuda" or "cuda:1".
    """

    pairs: int = 9
    steps: int = 20
    alone: bool = True
    ways: Sequence[str] = field(default_factory=lambda: list(WAYS))
    device: str = "cpu"


FULL = Plan()
QUICK = Plan(
    pairs=5, steps=5, alone=False, ways=[way.name for way in WAYS.values() if not way.full_only]
)


def measure(name: str, plan: Plan, say: Say = lambda text: None) -> dict[str, Any]:
    """One row of the result, plain values only.

    Args:
        name: the row's, as `find_row` takes it.
        say: told what is being done, a line each.
    Returns: about, batch, threads, pairs, steps_compared, ways (for each: median_s, samples_s,
        per_second, threads, loss differences, memory and compile seconds; or `missing`), speedup
        (how many times faster Backlit is than each peer: ratio, low, high), needs (see `Needs`).
    """
    threads = torch.get_num_threads()
    try:
        return _measure(name, plan, say)
    finally:
        torch.set_num_threads(threads)


def _measure(row_name: str, plan: Plan, say: Say) -> dict[str, Any]:
    row = find_row(row_name, plan.device)
    found: dict[str, Any] = {}
    steps: dict[str, tuple[StepOf, int]] = {}
    losses: dict[str, list[dict[str, float]]] = {}
    times: dict[str, list[float]] = {}
    speedup: dict[str, dict[str, float]] = {}

    def begin(way: Way) -> bool:
        """Takes an alternative's first steps; says whether it can."""
        say(f"{row.name}: {way.name}, the first {plan.steps} steps")
        reason = way.missing(row)
        if reason is None:
            try:
                steps[way.name] = build(row, way)
                losses[way.name] = _first_steps(steps[way.name], plan.steps)
            except (BacklitError, RuntimeError) as error:
                # One peer that fails shall not cost the hours of the others.
                steps.pop(way.name, None)
                reason = "failed: " + " ".join(str(error).split())[:200]
        found[way.name] = {"missing": reason} if reason else {}
        return reason is None

    def compare(names: Sequence[str]) -> None:
        """Times alternatives in turns."""
        told = f"{row.name}: {{}} of {plan.pairs} samples"
        some = timed({n: steps[n] for n in names}, plan, lambda turn: say(told.format(turn)))
        ours = some.get(OURS)
        speedup.update({n: ratio(t, ours) for n, t in some.items() if ours and n != OURS})
        times.update(some | times)

    ways = [WAYS[name] for name in plan.ways]
    compare([way.name for way in ways if not way.apart and begin(way)])
    for way in ways:
        if way.apart and begin(way):
            compare([name for name in (OURS, way.name) if name in steps])
    for name, samples in times.items():
        median = statistics.median(samples)
        found[name] |= {
            "median_s": median,
            "samples_s": samples,
            "per_second": row.batch / median,
            "threads": steps[name][1],
            **_differences(losses[name], losses.get(REFERENCE, losses[name])),
        }
    steps.clear()
    gc.collect()
    torch.compiler.reset()
    if plan.alone:
        for name in times:
            say(f"{row.name}: {name}, memory and compile time")
            found[name] |= alone(row_name, WAYS[name], plan.device)
    counted = torch_step(replace(row, device="cpu"), Style(frozen=True))
    return {
        "about": row.about,
        "batch": row.batch,
        "threads": row.threads or torch.get_num_threads(),
        "pairs": plan.pairs,
        "steps_compared": plan.steps,
        "ways": found,
        "speedup": speedup,
        "needs": asdict(needs(counted, trained(row))),
    }


def _first_steps(way: tuple[StepOf, int], steps: int) -> list[dict[str, float]]:
    step, threads = way
    torch.set_num_threads(threads)
    return [{name: float(v) for name, v in step(i, True).items()} for i in range(steps)]


def timed(
    ways: Mapping[str, tuple[StepOf, int]],
    plan: Plan,
    say: Callable[[int], None] = lambda turn: None,
) -> dict[str, list[float]]:
    """Seconds a step of each way, `plan.pairs` samples, the ways in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    done = dict.fromkeys(ways, plan.steps)
    for _ in range(2):  # the first step may compile: none before drew its own noise
        once = {name: _sample(*way, done[name], 1) for name, way in ways.items()}
    repeats = {name: max(1, math.ceil(SAMPLE_S / seconds)) for name, seconds in once.items()}
    names = list(ways)
    for turn in range(plan.pairs):
        say(turn + 1)
        for name in names if turn % 2 == 0 else names[::-1]:
            times[name].append(_sample(*ways[name], done[name], repeats[name]))
            done[name] += repeats[name]
        names = names[1:] + names[:1]
    return times


def _sample(step: StepOf, threads: int, first: int, repeats: int) -> float:
    """Seconds a step, over steps `first` to `first + repeats`."""
    torch.set_num_threads(threads)
    wait_for_devices()
    start = time.perf_counter()
    for index in range(first, first + repeats):
        losses = step(index, False)
    wait_for(losses)
    return (time.perf_counter() - start) / repeats


def _differences(mine: list[dict[str, float]], theirs: list[dict[str, float]]) -> dict[str, float]:
    """How far two loss trajectories are apart, absolute."""
    apart = [abs(a[k] - b[k]) for a, b in zip(mine, theirs, strict=True) for k in b]
    return {"loss_difference_mean": statistics.mean(apart), "loss_difference_max": max(apart)}


def ratio(theirs: Sequence[float], mine: Sequence[float], draws: int = 2000) -> dict[str, float]:
    """median(theirs) / median(mine) of paired samples and its 95 % interval.

    The interval is that of a percentile bootstrap over the pairs, drawn with a fixed seed.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7.
    """
    a, b = np.asarray(theirs), np.asarray(mine)
    index = np.random.default_rng(0).integers(0, len(a), (draws, len(a)))
    drawn = np.median(a[index], axis=1) / np.median(b[index], axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return {
        "ratio": float(np.median(a) / np.median(b)),
        "low": float(low),
        "high": float(high),
        "pairs": len(a),
    }
