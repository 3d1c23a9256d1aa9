"""Where no C++ compiler is found: the flat graph called directly against eager PyTorch.

    PYTHONPATH=src python bench/fallback.py [PAIRS]

Whole training steps with Adam, one thread: an MLP game on points (2-64-64, batch 256), DCGAN at
32 px (batch 16), LeNet and the LSTM of `backlit bench`. Eager is the loop everybody writes, D's
fakes made without a graph; its Adam is PyTorch's default, and the fused one beside it.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from typing import Any

import record
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlit.bench.peers import Style, torch_step
from backlit.bench.rows import find_row
from backlit.bench.ways import backlit_step
from backlit.gan import Game
from backlit.nets import DCGANDiscriminator, DCGANGenerator


def mlp(last: int, activation: nn.Module) -> nn.Module:
    """2-64-64-last."""
    act = activation
    return nn.Sequential(nn.Linear(2, 64), act, nn.Linear(64, 64), act, nn.Linear(64, last))


def eager(g: nn.Module, d: nn.Module, batch: Tensor, latent: int, fused: bool) -> Callable[[], Any]:
    """The usual loop with the usual optimiser and moving average, as Game has them by default."""
    options: dict[str, Any] = dict(lr=2e-4, betas=(0.5, 0.999), fused=fused)
    opt_g, opt_d = (torch.optim.Adam(n.parameters(), **options) for n in (g, d))
    average = [p.detach().clone() for p in g.parameters()]
    one, zero = 1.0, 0.0

    def bce(scores: Tensor, target: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))

    def step() -> None:
        real = batch if batch.is_floating_point() else batch.float() / 127.5 - 1
        with torch.no_grad():
            fake = g(torch.randn(len(real), latent))
        opt_d.zero_grad()
        (bce(d(real), one) + bce(d(fake), zero)).backward()
        opt_d.step()
        opt_g.zero_grad()
        bce(d(g(torch.randn(len(real), latent))), one).backward()
        opt_g.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, list(g.parameters()), 0.001)

    return step


Ways = dict[str, Callable[[], Any]]


def game(g: nn.Module, d: nn.Module, batch: Tensor) -> Ways:
    """An adversarial step: eager, eager with fused Adam, Backlit plain."""
    latent = getattr(g, "latent", 2)
    ways: Ways = {
        name: eager(copy.deepcopy(g), copy.deepcopy(d), batch, latent, fused)
        for name, fused in (("eager", False), ("eager_fused", True))
    }
    ours = Game(g, d, latent=latent)
    ours.prepare(batch, "plain")
    return {**ways, "plain": lambda: ours.step(batch, 0)}


def row(name: str) -> Ways:
    """The same three of a row of `backlit bench`."""
    found = find_row(name)
    steps = {
        "eager": torch_step(found, Style()),
        "eager_fused": torch_step(found, Style(fused=True)),
        "plain": backlit_step(found, "plain"),
    }
    return {way: lambda step=step: step(0, False) for way, step in steps.items()}


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
    # Each with the steps of one sample.
    measured: dict[str, tuple[Callable[[], Ways], int]] = {
        "mlp-gan": (
            lambda: game(mlp(2, nn.ReLU()), mlp(1, nn.LeakyReLU(0.2)), torch.randn(256, 2)),
            100,
        ),
        "dcgan-32": (
            lambda: game(DCGANGenerator(size=32), DCGANDiscriminator(size=32), pictures),
            3,
        ),
        "lenet": (lambda: row("lenet"), 10),
        "lstm": (lambda: row("lstm"), 1),
    }
    rows = {}
    for name, (make, calls) in measured.items():
        many = {
            way: lambda step=step, calls=calls: [step() for _ in range(calls)]
            for way, step in make().items()
        }
        record.interleaved(many, time.process_time, 1)  # warm
        times = record.interleaved(many, time.process_time, pairs)
        ratios = {way: record.ratio(times[way], times["plain"]) for way in ("eager", "eager_fused")}
        rows[name] = {"pairs": pairs, "steps": calls, "cpu_s": times, "ratio": ratios}
        for way, found in ratios.items():
            low, middle, high = found["low"], found["median"], found["high"]
            print(f"{name}: plain Backlit is {middle:.2f}x {way} ({low:.2f} to {high:.2f})")
    print(record.write(record.by_processor("fallback"), rows))


if __name__ == "__main__":
    main()
