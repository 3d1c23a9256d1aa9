"""Rows of next to nothing, for the tests."""

import torch
from torch import nn

from backlit.bench import GameRow, SupervisedRow
from backlit.nets import MLP, PointDiscriminator, PointGenerator

GAME = GameRow(
    "tiny game",
    "four points of the plane",
    4,
    lambda: (PointGenerator(width=4), PointDiscriminator(width=4)),
    lambda n: torch.randn(n, 2),
    2,
    threads=1,
)
CRITIC = GameRow(
    "tiny critic",
    "the same, Wasserstein critic with gradient penalty",
    4,
    GAME.networks,
    GAME.data,
    2,
    "wasserstein",
    "gradient_penalty",
    with_g=False,
    threads=1,
)
R1 = GameRow("tiny r1", "with R1", 4, GAME.networks, GAME.data, 2, penalty="r1", threads=1)
CLASSES = SupervisedRow(
    "tiny classes",
    "three classes",
    4,
    lambda: MLP(3, 3, (5,)),
    lambda n: (torch.randn(n, 3), torch.randint(0, 3, (n,))),
    threads=1,
)
CONVOLUTION = SupervisedRow(
    "tiny convolution",
    "two classes of 4 px",
    2,
    lambda: nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(8, 2)),
    lambda n: (torch.randn(n, 1, 4, 4), torch.randint(0, 2, (n,))),
    threads=1,
)
NOT_A_ROW = object()
