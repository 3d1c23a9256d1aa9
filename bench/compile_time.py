"""From the networks to the first compiled step, cold and from the cache: seconds of each part.

    PYTHONPATH=src python bench/compile_time.py [ROW ...]

Rows of `backlit bench`; DCGAN-64 by default. Each is made ready five times in two processes of
their own, the first with an empty cache folder; what is told is the run that took the middle time,
beside the times of all. Processor seconds, of the compiler's processes too, stand beside the
clock's: on a machine that is shared only they compare.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import record

from backlit import lower, step
from backlit.bench.alone import caches_in
from backlit.bench.rows import find_row
from backlit.bench.ways import backlit_step

RUNS = 5

# Where each part is called from.
PARTS: dict[str, tuple[Any, str]] = {
    "capture": (step.captured, "capture"),
    "trace": (step.step.Step, "__init__"),
    "passes": (step.step, "prepare_graph"),
    "kernels": (step.step, "lower_gates"),
    "compile": (lower.compiler, "_compile"),
}


def clocks() -> tuple[float, float]:
    """Wall-clock and processor seconds, this process's and its children's."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)


def timed(call: Callable[..., Any], found: dict[str, float]) -> Callable[..., Any]:
    """The call, its seconds added to `found`."""

    def through(*args: Any, **options: Any) -> Any:
        before = clocks()
        try:
            return call(*args, **options)
        finally:
            wall, cpu = (b - a for a, b in zip(before, clocks(), strict=True))
            found["wall_s"] = found.get("wall_s", 0.0) + wall
            found["cpu_s"] = found.get("cpu_s", 0.0) + cpu

    return through


def alone(name: str) -> dict[str, dict[str, float]]:
    """What runs in the process of its own."""
    found: dict[str, dict[str, float]] = {"whole": {}}
    for part, (holder, name_in_it) in PARTS.items():
        found[part] = {}
        setattr(holder, name_in_it, timed(getattr(holder, name_in_it), found[part]))
    timed(lambda: backlit_step(find_row(name), "compiled")(0, False), found["whole"])()
    return found


def pair(name: str) -> dict[str, dict[str, Any]]:
    """What `alone` finds cold and then cached, in a process each."""
    command, found = [sys.executable, __file__, "--alone", name], {}
    with tempfile.TemporaryDirectory() as cache:
        for turn in ("cold", "cached"):
            done = subprocess.run(
                command, env=caches_in(cache), stdout=subprocess.PIPE, text=True, check=True
            )
            found[turn] = json.loads(done.stdout.splitlines()[-1])
    return found


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run with the middle time, and all times."""
    runs = sorted(runs, key=lambda run: run["whole"]["wall_s"])
    return {**runs[len(runs) // 2], "walls_s": [run["whole"]["wall_s"] for run in runs]}


def main() -> None:
    if sys.argv[1:2] == ["--alone"]:
        print(json.dumps(alone(sys.argv[2])))
        return
    rows: dict[str, Any] = {}
    for name in sys.argv[1:] or ["dcgan-64"]:
        runs = [pair(name) for _ in range(RUNS)]
        rows[name] = {turn: middle([run[turn] for run in runs]) for turn in runs[0]}
        for turn, found in rows[name].items():
            walls = ", ".join(f"{seconds:.1f}" for seconds in found["walls_s"])
            print(f"{name} {turn}: {walls} s; of the middle one")
            for part in ("whole", *PARTS):
                if found[part]:
                    wall, cpu = found[part]["wall_s"], found[part]["cpu_s"]
                    print(f"  {part}: {wall:.1f} s, processor {cpu:.1f} s")
    print(record.write(record.by_processor("compile_time"), rows))


if __name__ == "__main__":
    main()
