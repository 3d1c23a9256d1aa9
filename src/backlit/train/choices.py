"""What is chosen once for a run: as asked, as suits the machine, and ever after as recorded."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch

from backlit.devices import on_cpu
from backlit.train.sections import Train
from backlit.train.trainable import Trainable

OPEN: dict[str, Any] = {
    "mode": "auto",
    "precision": "auto",
    "kernels": "auto",
    "threads": 0,
    "steps_per_call": 0,
}
"""The settings that are chosen, and the value that leaves the choice to Backlit."""

_WORTH_THREADS = 50_000_000  # operations; in less, threads wait for each other
_LONG_S = 2.0  # steps that take longer are timed once
_WORTH_GAIN = 1.05  # what more threads must gain: beside other work they are the first to suffer
_MOST_STEPS = 10
_SHORT_S = 0.003  # of longer steps the call is no part worth saving
_SMALL = 300_000_000  # operations; more take longer than that
_SAVED = 0.3  # share of a short step that many in one call save, measured on a GAN on points
_COMPILE_S = 0.01  # a gate


def wanted(settings: Train, recorded: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What a sitting asks for by name, and a line for each wish that the record overrules.

    Args:
        settings: the wishes.
        recorded: the environment of the run's last checkpoint, empty where it begins.
    """
    wishes = {name: getattr(settings, name) for name in OPEN}
    if not recorded:
        return wishes, []
    as_begun = {name: recorded.get(name) for name in OPEN}  # None: the networks' own precision
    if wishes["kernels"] == "aten" and not as_begun["kernels"]:
        wishes["kernels"] = as_begun["kernels"]
    refused = [
        f"{name} stays {_shown(as_begun[name])} as this run began, not {wish}: it could change the "
        "result's last bits; a new run takes the new value"
        for name, wish in wishes.items()
        if wish not in (OPEN[name], as_begun[name])
    ]
    return as_begun, refused


def choose_threads(trained: Trainable, batch: Any, most: int) -> int:
    """One CPU thread or `most`, whichever steps faster now; sets the one chosen.

    Args:
        trained: prepared in any mode; what is compiled is compiled for the threads chosen.
        batch: one of its batches.
        most: threads there are.
    """
    here = on_cpu(trained.state.values())
    chosen = most
    if here and trained.work()[1] < _WORTH_THREADS:
        chosen = 1
    elif here:
        least = {1: math.inf, most: math.inf}
        for _ in range(2):
            for threads in least:
                torch.set_num_threads(threads)
                least[threads] = min(least[threads], trained.seconds(batch))
            if sum(least.values()) > _LONG_S:
                break
        chosen = most if least[1] > _WORTH_GAIN * least[most] else 1
    torch.set_num_threads(chosen)
    return chosen


def choose_steps_per_call(trained: Trainable, batch: Any, spans: Collection[int], left: int) -> int:
    """How many steps to compile into one call: several where that saves more time than it costs.

    Args:
        trained: as it was prepared.
        batch: one of its batches.
        spans: steps between things that happen between calls (saving, ...); 0 for never.
        left: steps to go.
    Returns: a divisor of all the spans, so that no call runs across one of their ends.
    """
    gates, operations = trained.work()
    common = math.gcd(*spans)
    sizes = [k for k in range(2, _MOST_STEPS + 1) if common % k == 0]
    if not sizes or operations > _SMALL or left * _SHORT_S * _SAVED < 2 * gates * _COMPILE_S:
        return 1  # without measuring
    step_s = trained.seconds(batch)
    if step_s > _SHORT_S:
        return 1

    def gain_s(k: int) -> float:
        return left * step_s * _SAVED * (1 - 1 / k) - k * gates * _COMPILE_S

    best = max(sizes, key=gain_s)
    return best if gain_s(best) > best * gates * _COMPILE_S else 1


def _shown(value: Any) -> str:
    return f"as chosen for {len(value)} gates," if isinstance(value, dict) else str(value)


def told(facts: Mapping[str, Any]) -> str:
    """The choices in words, for people: "compiled mode, bfloat16, 2 threads", or the GPU's name."""
    threads = facts["threads"]
    parts = [
        f"{facts['mode']} mode",
        facts.get("precision", ""),
        f"{n} chosen kernel{'s' if n > 1 else ''}" if (n := len(facts.get("kernels", ()))) else "",
        facts.get("device") or f"{threads} thread{'s' if threads > 1 else ''}",
        f"{k} steps a call" if (k := facts.get("steps_per_call", 1)) > 1 else "",
    ]
    return ", ".join(part for part in parts if part)
