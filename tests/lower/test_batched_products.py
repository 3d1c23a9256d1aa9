"""Sums of products joined into one: equal gradients with fewer gates."""

from functools import reduce

import pytest
import torch
from torch import nn

from backlit.cli.kernels import _both_passes
from backlit.gates.base import aten
from backlit.graph import capture
from backlit.graph.trace import trace
from backlit.lower import apply_passes, batch_products


@pytest.mark.parametrize("kind, two_ways", [(nn.LSTM, True), (nn.GRU, False), (nn.RNN, False)])
def test_recurrent_gradients(kind, two_ways):
    torch.manual_seed(0)
    steps, layers = 5, 1 + two_ways
    net = kind(3, 4, bidirectional=two_ways).double()
    graph = capture(lambda x: net(x)[0].square().mean(), torch.randn(steps, 2, 3).double())
    gm, inputs = _both_passes(graph)
    expected = gm(*inputs)
    before = [node.target for node in gm.graph.nodes]
    assert batch_products(gm) == layers
    after = [node.target for node in gm.graph.nodes]
    # For each layer and direction one product for all steps instead of one a step.
    fewer = before.count(aten.mm.default) - after.count(aten.mm.default)
    assert fewer == layers * (steps - 1)
    for a, b in zip(gm(*inputs), expected, strict=True):
        assert (a - b).abs().max() <= 1e-12 * (1 + b.abs().max())
    assert batch_products(gm) == 0


def test_other_terms_stay():
    def function(c, *parts):
        total = c
        for a, b in zip(parts[::2], parts[1::2], strict=True):
            total = total + a.t().mm(b)
        return total, total * 2

    parts = [torch.randn(2, n).double() for _ in range(5) for n in (3, 4)]
    inputs = [torch.randn(3, 4).double(), *parts]
    gm, _ = trace(function, inputs)
    few, _ = trace(function, inputs[:7])
    expected = gm(*inputs)
    assert batch_products(gm) > 0
    torch.testing.assert_close(gm(*inputs), expected)
    assert sum(node.target is aten.mm.default for node in gm.graph.nodes) == 1
    code = few.code
    assert batch_products(few) == 0 and few.code == code  # three are too few


def test_as_a_step_writes_them():
    """A linear layer's gradients there: (Hᵀ dZ)ᵀ."""

    def function(*parts):
        pairs = list(zip(parts[::2], parts[1::2], strict=True))
        return reduce(torch.add, [h.t().mm(dz).t() for h, dz in pairs])

    inputs = [torch.randn(2, n).double() for _ in range(5) for n in (3, 4)]
    gm, _ = trace(function, inputs)
    expected = gm(*inputs)
    assert batch_products(gm) == 1
    torch.testing.assert_close(gm(*inputs), expected)
    assert sum(node.target is aten.mm.default for node in gm.graph.nodes) == 1


@pytest.mark.parametrize("join", [torch.cat, lambda parts: torch.stack(parts).view(-1, 4)])
@pytest.mark.parametrize("keep", [False, True])
def test_what_is_stacked_for_its_sum_is_added_where_it_is_made(join, keep):
    """As for the bias gradient of a product over all time steps."""

    def function(*inputs):
        return (join([x.sin() for x in inputs]).sum([0], keep),)

    inputs = [torch.randn(3, 4).double() for _ in range(5)]
    gm, _ = trace(function, inputs)
    few, _ = trace(function, inputs[:3])
    expected = gm(*inputs)
    assert batch_products(gm) == 1 and batch_products(few) == 0
    apply_passes(gm)
    torch.testing.assert_close(gm(*inputs), expected)
    targets = [node.target for node in gm.graph.nodes]
    assert targets.count(aten.sum.dim_IntList) == 1 and targets.count(aten.add.Tensor) == 4
    made = [i for i, target in enumerate(targets) if target is aten.sin.default]
    assert targets.index(aten.add.Tensor) < made[2]  # no two of them need be kept
    assert not {aten.cat.default, aten.stack.default} & set(targets)
    for node in gm.graph.nodes:
        assert node.op != "call_function" or node.meta["val"].shape is not None


@pytest.mark.parametrize("same", [True, False])
def test_columns_are_added_each_for_itself(same):
    """An LSTM's time step joins the gradients of its gates."""

    def function(*inputs):
        parts = [torch.cat([x.sin(), x[:, :2].cos()], 1) for x in inputs]
        if not same:
            parts[1] = torch.cat([inputs[1][:, :2].cos(), inputs[1].sin()], 1)
        return torch.stack(parts).view(-1, 6).sum(0), *[part * 2 for part in parts]

    inputs = [torch.randn(3, 4).double() for _ in range(5)]
    gm, _ = trace(function, inputs)
    expected = gm(*inputs)
    assert batch_products(gm) == 1
    torch.testing.assert_close(gm(*inputs), expected)
    added = [node for node in gm.graph.nodes if node.target is aten.add.Tensor]
    widths = sorted(node.meta["val"].shape[1] for node in added)
    assert widths == ([2] * 4 + [4] * 4 if same else [6] * 4)
