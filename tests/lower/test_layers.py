"""The table of layers against the published totals."""

import pytest
import torch
from torch import nn

from backlit.graph import capture
from backlit.lower import layer_table, layers
from backlit.nets import network


def on_meta(make, *shape):
    with torch.device("meta"):
        return make(), torch.empty(shape)


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        # Krizhevsky 2014 as torchvision has it: 61.1 M, 0.71 G.
        ("alexnet", 61_100_840, 714_188_480),
        # Simonyan & Zisserman 2015, table 2: 138 M; 15.5 G.
        ("vgg16", 138_357_544, 15_470_264_320),
    ],
)
def test_totals_are_the_papers(name, parameters, multiply_adds):
    net, x = on_meta(lambda: network(name), 2, 3, 224, 224)
    found = layers(net, x)
    assert sum(row.parameters for row in found) == parameters
    assert sum(row.parameters for row in found) == sum(p.numel() for p in net.parameters())
    assert sum(row.multiply_adds for row in found) == multiply_adds
    assert net.training


def test_local_connection_and_weight_sharing():
    """1000 x 1000 pixels, a million hidden units, 10 x 10 kernels: 10^12, 10^8, 10^2, 10^4."""
    for kernels, shared in ((1, 10**2), (100, 10**4)):
        net, x = on_meta(
            lambda k=kernels: nn.Conv2d(1, k, 10, padding="same", bias=False), 2, 1, 1000, 1000
        )
        (row,) = layers(net, x)
        assert row.parameters == shared
        assert row.shape == (kernels, 1000, 1000)
        assert row.local == kernels * 10**8
        assert row.full == kernels * 10**12
    assert "1e08" in layer_table([row], "title") or "1e10" in layer_table([row], "title")


def test_shared_weights_count_once_and_work_is_that_of_one_sample():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    for n in (2, 7):
        found = layers(Tied(), torch.zeros(n, 4))
        assert [row.parameters for row in found] == [16, 0]
        assert [row.multiply_adds for row in found] == [16, 16]
        assert [(row.local, row.full) for row in found] == [(None, None)] * 2
    graph = capture(Tied(), torch.zeros(2, 4))
    assert layers(graph) == layers(Tied(), torch.zeros(2, 4))


def test_the_table():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3))
    text = layer_table(layers(net, torch.zeros(2, 1, 5, 5)), "small", width=120)
    lines = text.splitlines()
    assert lines[0] == "small" and lines[1].split()[:2] == ["layer", "type"]
    assert lines[3].split() == ["0", "Conv2d", "2×3×3", "20", "162", "180", "468"]
    assert lines[6].split() == ["3", "Linear", "3", "57", "54"]
    assert [line.split() for line in lines if line.startswith("in all")] == [
        ["in", "all", "77", "216"]
    ]
    assert "unshared" not in layer_table(layers(nn.Linear(3, 2), torch.zeros(2, 3)))


def test_a_recurrent_network_counts_every_step():
    net = network("sequence_regressor", features=2, width=4)
    five, ten = (layers(net, torch.zeros(3, n, 2)) for n in (5, 10))
    inside = [next(row for row in found if row.kind == "RNN") for found in (five, ten)]
    assert inside[0].multiply_adds * 2 == inside[1].multiply_adds == 10 * 4 * (2 + 4)
    assert inside[0].parameters == inside[1].parameters == 4 * 2 + 4 * 4 + 4 + 4
