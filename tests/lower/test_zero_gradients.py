"""Zero gradients: what a derivative of `select` leaves zero is not added."""

import pytest
import torch
from torch import nn

from backlit.cli.kernels import _both_passes
from backlit.gates.base import aten
from backlit.graph import capture
from backlit.graph.trace import trace
from backlit.lower.zero_gradients import drop_zero_gradients


def additions(gm):
    return sum(node.target is aten.add.Tensor for node in gm.graph.nodes)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("index", "at", "removed"), [(2, 0, 1), (-1, 1, 1), (1, 1, 0), (-2, 1, 0)])
def test_one_element(turned, index, at, removed):
    """The derivative of x[:, index] or x[index]; of it the element `at` is added."""

    def function(dz, y):
        axis = 1 if turned else 0
        sizes = [4, 3, 4] if turned else [3, 4, 4]
        dx = aten.select_backward.default(dz, sizes, axis, index)
        return y.sin() + (dx.transpose(0, 1) if turned else dx)[at], dx

    inputs = [torch.randn(4, 4).double(), torch.randn(4, 4).double()]
    gm, _ = trace(function, inputs)
    expected, before = gm(*inputs), additions(gm)
    assert drop_zero_gradients(gm) == removed == before - additions(gm)
    for found, wanted in zip(gm(*inputs), expected, strict=True):
        assert torch.equal(found, wanted)


def test_others_stay():
    """Along another axis an element holds a part of the gradient; numbers are added as well."""

    def function(dz, y):
        dx = aten.select_backward.default(dz, [4, 4, 4], 0, 1)
        return y.sin() + dx[:, 0] + 1e-6

    gm, _ = trace(function, [torch.randn(4, 4), torch.randn(4, 4)])
    before = additions(gm)
    assert drop_zero_gradients(gm) == 0 and additions(gm) == before


def test_recurrent_net_answering_at_the_last_step():
    torch.manual_seed(0)
    steps = 6
    net = nn.LSTM(3, 4, batch_first=True).double()
    graph = capture(lambda x: net(x)[0][:, -1].square().mean(), torch.randn(2, steps, 3).double())
    gm, inputs = _both_passes(graph)
    expected = gm(*inputs)
    assert drop_zero_gradients(gm) == steps - 1
    for found, wanted in zip(gm(*inputs), expected, strict=True):
        assert torch.equal(found, wanted)
