"""The character recipe against the same mathematics as a plain PyTorch loop.

    PYTHONPATH=src python bench/plain_characters.py [STEPS] [SEEDS]

The same seeds, batches and number of steps, the state carried and detached in both; blocks of ten
steps take turns in one process on one thread. Written down: bits per character of both on the
held-out text, and steps a second.
"""

from __future__ import annotations

import copy
import functools
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import record
import torch
import torch.nn.functional as F

from backlit.train import build_fit, build_task, load_recipe

BLOCK = 10


def plain_loop(net: Any, data: Any, lanes: int, lr: float, clip: float) -> Callable[[int], None]:
    """A step as everybody writes it."""
    optimiser = torch.optim.Adam(net.parameters(), lr=lr)
    state = net.initial_state(lanes)

    def step(index: int) -> None:
        nonlocal state
        batch = data.at(index, lanes)
        if batch["restart"].any():
            state = net.initial_state(lanes)
        scores, state = net.step(batch["x"], tuple(t.detach() for t in state))
        loss = F.cross_entropy(scores.flatten(0, 1), batch["y"].flatten())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimiser.step()

    return step


def backlit_step(learner: Any, data: Any, lanes: int, index: int) -> None:
    """The same step as one graph."""
    learner.step(data.at(index, lanes), index)


@torch.no_grad()
def bits_per_character(net: Any, samples: Any) -> float:
    """Mean surprise over held-out text."""
    return float(F.cross_entropy(net(samples.x).flatten(0, 1), samples.y.flatten())) / math.log(2)


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(1)
    bits: dict[str, list[float]] = {"backlit": [], "pytorch": []}
    times: dict[str, list[float]] = {"backlit": [], "pytorch": []}
    for seed in range(seeds):
        recipe = load_recipe("characters", [f"train.seed={seed}", "schedule.name=constant"])
        task = build_task(recipe)
        learner = build_fit(recipe, task)
        data, lanes = task.train, recipe.train.batch
        net = copy.deepcopy(learner.network)
        loop = plain_loop(net, data, lanes, recipe.optimiser.lr, recipe.regularise.clip_norm)
        learner.prepare(data.at(0, lanes), "compiled")
        own = functools.partial(backlit_step, learner, data, lanes)
        ways: dict[str, Callable[[int], Any]] = {"backlit": own, "pytorch": loop}
        for name, seconds in record.in_turns(ways, steps, BLOCK, time.process_time).items():
            times[name] += seconds[1:]  # the first block warms up
        for name, trained in (("backlit", learner.network), ("pytorch", net)):
            bits[name].append(bits_per_character(trained.eval(), task.validation))
        print(f"seed {seed}: " + ", ".join(f"{n} {b[-1]:.4f}" for n, b in bits.items()), flush=True)
    found = {
        "steps": steps,
        "seeds": seeds,
        "text": "moby_dick, validation",
        "bits_per_character": bits,
        "largest_difference": max(
            abs(a - b) for a, b in zip(bits["backlit"], bits["pytorch"], strict=True)
        ),
        "steps_per_cpu_s": {n: BLOCK / statistics.median(t) for n, t in times.items()},
        "time_ratio": record.ratio(times["backlit"], times["pytorch"])
        | {"n": len(times["pytorch"])},
    }
    print(found)
    print(record.write("characters", found))


if __name__ == "__main__":
    main()
