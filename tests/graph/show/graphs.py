"""The graphs the drawings are tested on."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

from backlit.graph import Graph, capture


def worked_example() -> Graph:
    """MISSION A2: f = (x + y) z at x = -2, y = 5, z = -4."""
    return capture(lambda x, y, z: (x + y) * z, x=-2.0, y=5.0, z=-4.0)


def sigmoid_neuron() -> Graph:
    """MISSION A3: f = 1 / (1 + exp(-(w0 x0 + w1 x1 + w2)))."""

    def neuron(w0: Tensor, x0: Tensor, w1: Tensor, x1: Tensor, w2: Tensor) -> Tensor:
        return ((-(w0 * x0 + w1 * x1 + w2)).exp() + 1).reciprocal()

    return capture(neuron, w0=2.0, x0=-1.0, w1=-3.0, x1=-2.0, w2=-3.0)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(torch.sigmoid(self.norm(self.one(x))))


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*[Block() for _ in range(9)])
        self.score = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.score(self.blocks(x)).mean()


@cache
def deep() -> Graph:
    """Nine equal residual blocks and a score, watched."""
    torch.manual_seed(0)
    graph = capture(Deep(), torch.randn(5, 4))
    graph.backward()
    return graph
