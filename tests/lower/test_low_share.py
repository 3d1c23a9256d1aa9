"""Which work gains from bfloat16."""

import pytest
import torch
from torch import nn

from backlit.lower import low_share
from backlit.nets import LeNet
from backlit.supervised import Supervised


def share(network, *shape):
    learner = Supervised(network)
    learner.prepare((torch.randn(*shape), torch.zeros(shape[0], dtype=torch.long)))
    return low_share(next(iter(learner.steps.values())).gm)


@pytest.mark.parametrize(
    ("network", "shape", "expected"),
    [
        (lambda: nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10)), (64, 256), 0.9),
        (lambda: nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)), (256, 64), 0.0),
        (lambda: nn.Linear(4096, 2), (1024, 4096), 0.0),
    ],
)
def test_large_and_wide_products_gain(network, shape, expected):
    assert expected <= share(network(), *shape) <= min(expected + 0.1, 1)


def test_convolutions_gain_with_many_channels():
    wide = nn.Sequential(nn.Conv2d(32, 64, 3), nn.Flatten(), nn.Linear(64 * 36, 2))
    assert share(wide, 8, 32, 8, 8) > 0.9
    assert share(LeNet(), 32, 1, 28, 28) < 0.2
