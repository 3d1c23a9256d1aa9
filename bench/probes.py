"""What do probes cost, and what does one_stage save? One thread, interleaved in one process.

    PYTHONPATH=src python bench/probes.py [PAIRS]

Probes: every layer's outputs and gradients and every parameter, computed in every compiled step,
over the same step without. Of every 50th step it is a fiftieth of that. One stage: the plain
(not compiled) DCGAN-32 step, alternating over at once.
"""

from __future__ import annotations

import sys
from typing import Any

import record
import torch

from backlit.bench import Plan, find_row, probe_cost, ratio
from backlit.bench.interleaved import timed
from backlit.bench.ways import backlit_step
from backlit.gan import Game

ROWS = ("mlp-gan", "dcgan-32")


def one_stage(plan: Plan) -> dict[str, Any]:
    """Gates of both steps, and how many times faster the one at once is."""
    row = find_row("dcgan-32")
    gates = {}
    for at_once in (False, True):
        game = Game(*row.build(), latent=row.latent, ema=None, one_stage=at_once)
        game.prepare(row.batches()[0])
        gates["one stage" if at_once else "alternating"] = len(game.steps[True, False].gates)
    ways = {name: (backlit_step(row, "plain", one_stage=name == "one stage"), 1) for name in gates}
    times = timed(ways, plan)
    return {"gates": gates, "speedup": ratio(times["alternating"], times["one stage"])}


def main() -> None:
    plan = Plan(pairs=int(sys.argv[1]) if len(sys.argv) > 1 else 15, steps=3)
    torch.set_num_threads(1)
    found: dict[str, Any] = {"one_stage": one_stage(plan)}
    print(found, flush=True)
    for name in ROWS:
        every = probe_cost(name, plan, ["probes_every_step"])["probes_every_step"]
        found[name] = {
            "every_step": every,
            "every_50_steps": {k: 1 + (every[k] - 1) / 50 for k in ("ratio", "low", "high")},
        }
        print(name, found[name], flush=True)
    print(record.write(record.by_processor("probes"), found))


if __name__ == "__main__":
    main()
