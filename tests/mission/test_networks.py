"""MISSION C4, C5, D2, D6: activations, the loss of a 90 % answer, convolution, shared weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlit.graph import capture, check, connections
from backlit.nets import activation

X = torch.tensor([1.0, -2.0, 3.0, -4.0, 7.0])


@pytest.mark.parametrize(
    ("name", "output", "slope"),
    [
        ("step", [1, 0, 1, 0, 1], None),
        ("relu", [1, 0, 3, 0, 7], [1, 0, 1, 0, 1]),
        ("leaky_relu", [1, -0.02, 3, -0.04, 7], [1, 0.01, 1, 0.01, 1]),
        ("prelu", [1, -0.5, 3, -1, 7], [1, 0.25, 1, 0.25, 1]),
        ("sigmoid", [0.731059, 0.119203, 0.952574, 0.017986, 0.999089], None),
        ("tanh", [0.761594, -0.964028, 0.995055, -0.999329, 0.999998], None),
        ("softmax", [0.002428, 0.000121, 0.017940, 0.000016, 0.979495], None),
    ],
)
def test_c4_activations(name, output, slope):
    module = activation(name)
    graph = capture(lambda x: module(x), X)
    assert graph().tolist() == pytest.approx(output, abs=1e-6)
    total = capture(lambda x: module(x).sum(), X)
    if slope is not None:
        assert total.value_and_grad()[1]["x"].tolist() == pytest.approx(slope)
    if name == "step":
        grad = total.value_and_grad()[1]["x"]
        assert grad is None or not grad.any()
    assert check(graph).passed


def test_c5_a_ninety_per_cent_answer():
    p = torch.tensor([[0.9, 0.06, 0.04]])
    graph = capture(lambda scores: F.cross_entropy(scores, torch.tensor([0])), p.log())
    assert graph().item() == pytest.approx(-math.log(0.9)) == pytest.approx(0.105, abs=5e-4)
    binary = capture(
        lambda score: F.binary_cross_entropy_with_logits(score, torch.ones(1)),
        torch.tensor([math.log(9.0)]),
    )
    assert binary().item() == pytest.approx(0.105, abs=5e-4)


def test_d2_six_kernels_of_five_by_five():
    graph = capture(nn.Conv2d(3, 6, 5), torch.randn(2, 3, 32, 32))
    assert graph.gates[0].shape == (2, 6, 28, 28)


@pytest.mark.parametrize(
    ("stride", "padding", "kernel", "size"),
    [(1, 2, 5, 32), (2, 0, 5, 14), (2, 1, 4, 16), (3, 1, 3, 11)],
)
def test_d2_output_size(stride, padding, kernel, size):
    graph = capture(nn.Conv2d(1, 2, kernel, stride, padding), torch.randn(2, 1, 32, 32))
    assert graph.gates[0].shape[2:] == (size, size)
    assert size == (32 - kernel + 2 * padding) // stride + 1


def test_d6_what_weight_sharing_saves():
    """A picture of 1000 x 1000, 10^6 hidden units, windows of 10 x 10."""
    picture = torch.zeros(2, 1, 1000, 1000)
    one = capture(nn.Conv2d(1, 1, 10, padding="same", bias=False), picture, verdict=False)
    (found,) = connections(one)
    assert found.hidden == 10**6
    assert (found.fully, found.locally, found.shared) == (10**12, 10**8, 10**2)
    assert str(found) == (
        "the convolution: 1,000,000 units; weights fully connected 1,000,000,000,000, "
        "locally connected 100,000,000, shared 100"
    ).replace("the convolution", found.gate)
    many = capture(nn.Conv2d(1, 100, 10, padding="same", bias=False), picture, verdict=False)
    assert connections(many)[0].shared == 10**4


def test_d6_of_a_network():
    net = nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.Conv2d(6, 4, 3, 1, 1, groups=2))
    first, second = connections(capture(net, torch.randn(2, 3, 32, 32)))
    assert (first.module, first.hidden, first.shared) == ("0", 6 * 28 * 28, 6 * 3 * 5 * 5)
    assert first.fully == 3 * 32 * 32 * first.hidden and first.locally == 75 * first.hidden
    assert second.shared == 4 * 3 * 3 * 3 and second.locally == 27 * 4 * 28 * 28
