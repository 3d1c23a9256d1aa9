"""Does capture grow linearly? Graphs of about 1,000, 4,000 and 16,000 gates, backward included.

PYTHONPATH=src python bench/scale.py [GATES ...]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import record
import torch
from torch import Tensor, nn

from backlit.graph import capture


class Dense(nn.Module):
    """A residual block of a multilayer perceptron: 4 gates."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(torch.relu(self.a(x)))


class Convolutional(nn.Module):
    """A residual block as ResNet has it: two convolutions, each with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 1, 1)
        self.na, self.nb = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.nb(self.b(torch.relu(self.na(self.a(x))))))


FAMILIES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual MLP": (Dense, (2, 8)),
    "residual CNN with batch norm": (Convolutional, (2, 4, 6, 6)),
}


def built(block: Callable[[], nn.Module], shape: tuple[int, ...], blocks: int) -> dict[str, Any]:
    """Captures a network of that many blocks and traces its gradient graph."""
    net = nn.Sequential(*(block() for _ in range(blocks)))
    x = torch.randn(shape)
    times = []
    for clock in (time.perf_counter, time.process_time):
        times.append(clock())
    graph = capture(lambda x: net(x).square().mean(), x)
    times += [time.perf_counter(), time.process_time()]
    gradients = graph.gradient_graph()
    times += [time.perf_counter(), time.process_time()]
    return {
        "blocks": blocks,
        "forward_gates": len(graph),
        "gates": len(gradients),
        "capture_s": times[2] - times[0],
        "gradient_graph_s": times[4] - times[2],
        "wall_s": times[4] - times[0],
        "cpu_s": times[5] - times[1],
    }


def fit(rows: list[dict[str, Any]]) -> dict[str, float]:
    """CPU seconds as a line over gates, and as a power of gates between first and last."""
    x, y = [row["gates"] for row in rows], [row["cpu_s"] for row in rows]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum(
        (a - mx) ** 2 for a in x
    )
    left = sum((b - my - slope * (a - mx)) ** 2 for a, b in zip(x, y, strict=True))
    return {
        "ms_per_gate": slope * 1e3,
        "r2": 1 - left / sum((b - my) ** 2 for b in y),
        "exponent": math.log(y[-1] / y[0]) / math.log(x[-1] / x[0]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gates", nargs="*", type=int, default=[1_000, 4_000, 16_000])
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name, (block, shape) in FAMILIES.items():
        built(block, shape, 2)  # what is loaded once
        small, large = (built(block, shape, n)["gates"] for n in (4, 8))
        per_block = (large - small) / 4
        rows = []
        print(f"{name}\n{'gates':>8} {'forward':>8} {'capture':>9} {'gradients':>9} {'CPU':>8}")
        for gates in parser.parse_args().gates:
            row = built(block, shape, max(1, round(gates / per_block)))
            rows.append(row)
            print(
                f"{row['gates']:8,} {row['forward_gates']:8,} {row['capture_s']:8.1f}s "
                f"{row['gradient_graph_s']:8.1f}s {row['cpu_s']:7.1f}s",
                flush=True,
            )
        line = fit(rows)
        found[name] = {"rows": rows, "fit": line}
        print(
            f"{line['ms_per_gate']:.2f} ms of CPU a gate, R² {line['r2']:.4f}, "
            f"grows as gates^{line['exponent']:.2f}\n"
        )
    print(record.write("scale", found))


if __name__ == "__main__":
    main()
