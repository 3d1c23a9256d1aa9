"""Rows of next to nothing, for the tests."""

import torch
from torch import nn

from backlit.bench import GameRow, SupervisedRow
from backlit.nets import MLP, PointDiscriminator, PointGenerator, SequenceClassifier

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
LAYERS = SupervisedRow(
    "tiny layers",
    "the layers of the rows' convolutional networks, two classes a pixel",
    3,
    lambda: nn.Sequential(
        nn.Conv2d(2, 4, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(0.2),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
        nn.Tanh(),
        nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1),
    ),
    lambda n: (torch.randn(n, 2, 8, 8), torch.randint(0, 2, (n, 8, 8))),
    threads=1,
)
SEQUENCE = SupervisedRow(
    "tiny sequence",
    "an LSTM over five steps",
    3,
    lambda: SequenceClassifier(4, 2, 6),
    lambda n: (torch.randn(n, 5, 4), torch.randint(0, 2, (n,))),
    threads=1,
)
UNKNOWN_TO_JAX = SupervisedRow(
    "tiny unknown",
    "an activation that the JAX peer does not know",
    2,
    lambda: nn.Sequential(nn.Linear(3, 3), nn.GELU()),
    CLASSES.data,
    threads=1,
)
NOT_A_ROW = object()
