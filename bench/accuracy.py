"""Accuracy of the bundled classification recipes, and of the same recipe as a plain loop.

    PYTHONPATH=src python bench/accuracy.py [RECIPE ...] [--seeds N] [--without-plain]

Both start from the same weights and see the same batches; they train in turns, so that both meet
the same machine. The plain loop is what everybody writes: eager, `torch.optim`, pictures flipped
before the forward pass, bfloat16 autocast where Backlit's step runs in bfloat16. Accuracy is on
the test set after the last step, no checkpoint chosen; seconds are those of the training steps
alone, compiling and scoring apart. Each seed is written when it is done.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from typing import Any

import record
import torch
from torch import Tensor, nn

from backlit.data import batch_indices
from backlit.errors import BacklitError
from backlit.step import schedule
from backlit.supervised import Samples
from backlit.train import FitRecipe, build_fit, build_task, load_recipe

RECIPES = ("digits", "mlp", "lenet", "vgg11")
TURN = 25  # steps before the other one's turn


class Plain:
    """A recipe as the loop everybody writes."""

    def __init__(self, recipe: FitRecipe, network: nn.Module, bfloat16: bool) -> None:
        self.network, self.bfloat16 = network, bfloat16
        options = recipe.optimiser.model_dump()
        kind = getattr(torch.optim, options.pop("name"))
        self.optimiser = kind(network.parameters(), **options)
        self.rate, self.steps = options["lr"], recipe.train.steps
        self.plan = schedule(recipe.schedule.table)
        known = {"flip"}
        asked = {one.name for one in recipe.augment}
        if asked - known:
            raise BacklitError(f"plain loop: expected no augmentation but {known}, got {asked}")
        self.flips = "flip" in asked
        if bfloat16:
            network.to(memory_format=torch.channels_last)
        self.loss = nn.CrossEntropyLoss(label_smoothing=recipe.loss.options.get("smoothing", 0.0))

    def step(self, x: Tensor, y: Tensor, index: int) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * self.plan.factor(index, self.steps)
        if self.flips:
            chosen = torch.rand(len(x)) < 0.5
            x = torch.where(chosen.view(-1, 1, 1, 1), x.flip(3), x)
        if self.bfloat16 and x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        self.optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = self.loss(self.network(x), y)
        loss.backward()
        self.optimiser.step()

    @torch.no_grad()
    def accuracy(self, test: Samples) -> float:
        self.network.eval()
        right = sum(
            int((self.network(x).argmax(1) == y).sum())
            for x, y in zip(test.x.split(500), test.y.split(500), strict=True)
        )
        return right / len(test)


def compare(name: str, seed: int, with_plain: bool) -> dict[str, Any]:
    """Trains both on one seed, or Backlit alone."""
    recipe = load_recipe(name, (), {"train.seed": seed})
    assert isinstance(recipe, FitRecipe)
    settings = recipe.train
    if settings.threads:
        torch.set_num_threads(settings.threads)
    task = build_task(recipe)
    train, test = task.train, task.test
    assert test is not None
    fit = build_fit(recipe, task)
    twin = copy.deepcopy(fit.network)

    def batch(index: int) -> dict[str, Tensor]:
        return train.batch(batch_indices(len(train), settings.batch, settings.seed, index))

    began = time.perf_counter()
    mode = fit.prepare(batch(0), "compiled", precision=settings.precision)
    prepare_s = time.perf_counter() - began
    (step,) = fit.steps.values()
    plain = Plain(recipe, twin, step.precision == "bfloat16")
    plan = plain.plan

    def ours(index: int) -> None:
        fit.rates["lr"].fill_(plain.rate * plan.factor(index, settings.steps))
        fit.step(batch(index), index)

    def theirs(index: int) -> None:
        found = batch(index)
        plain.step(found["x"], found["y"], index)

    ways = {"backlit": ours, "plain": theirs} if with_plain else {"backlit": ours}
    seconds = record.in_turns(ways, settings.steps, TURN, time.perf_counter)
    found = {
        "seed": seed,
        "steps": settings.steps,
        "batch": settings.batch,
        "threads": torch.get_num_threads(),
        "mode": mode,
        "precision": step.precision or "float32",
        "prepare_s": prepare_s,
        "accuracy": fit.evaluate(test.x, test.y)["accuracy"],
        "seconds": sum(seconds["backlit"]),
    }
    if with_plain:
        found |= {
            "plain_accuracy": plain.accuracy(test),
            "plain_seconds": sum(seconds["plain"]),
            "plain_over_backlit": record.ratio(seconds["plain"], seconds["backlit"]),
        }
    return found


def keep(name: str, found: dict[str, Any]) -> None:
    """Puts one seed's figures beside those already measured."""
    path = record.RESULTS / "accuracy.json"
    known = json.loads(path.read_text())["recipes"] if path.is_file() else {}
    runs = [run for run in known.get(name, []) if run["seed"] != found["seed"]]
    known[name] = sorted([*runs, found], key=lambda run: run["seed"])
    record.write("accuracy", {"recipes": known})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--without-plain", action="store_true")
    asked = parser.parse_args()
    for name in asked.recipes:
        for seed in range(asked.first, asked.first + asked.seeds):
            run = compare(name, seed, not asked.without_plain)
            keep(name, run)
            say(name, run)


def say(name: str, run: dict[str, Any]) -> None:
    """One seed's line."""
    parts = [
        f"{name} seed {run['seed']}: {run['accuracy']:.4f} in {run['seconds']:.0f} s "
        f"({run['precision']}, {run['threads']} threads), prepared in {run['prepare_s']:.0f} s"
    ]
    if "plain_accuracy" in run:
        ratio = run["plain_over_backlit"]
        parts.append(
            f"plain {run['plain_accuracy']:.4f} in {run['plain_seconds']:.0f} s, "
            f"{ratio['median']:.2f}x ({ratio['low']:.2f}-{ratio['high']:.2f})"
        )
    print("; ".join(parts), flush=True)


if __name__ == "__main__":
    main()
