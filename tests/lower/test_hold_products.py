"""Products stand apart from what is added to them: the same numbers, a call of the library each."""

import torch

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower.hold_products import hold_products


def step(x, a, b, bias):
    """A product to which a matrix is added, one to which a row is, one joined already."""
    return (x + a.mm(b)).tanh(), a.mm(b * 2) + bias, torch.addmm(bias, a, b)


def inputs():
    torch.manual_seed(0)
    return [torch.randn(4, 6), torch.randn(4, 5), torch.randn(5, 6), torch.randn(6)]


def test_held():
    given = inputs()
    gm, _ = trace(step, given)
    expected = gm(*given)
    assert hold_products(gm) == 2
    views = [node for node in gm.graph.nodes if node.target is aten.as_strided.default]
    assert [view.args[0].target for view in views] == [aten.mm.default] * 2
    assert all(view.meta["val"].shape == (4, 6) for view in views)
    for found, wanted in zip(gm(*given), expected, strict=True):
        assert torch.equal(found, wanted)


def test_nothing_to_hold():
    gm, _ = trace(lambda a, b, bias: (a.mm(b) * 2 + bias, torch.addmm(bias, a, b)), inputs()[1:])
    before = gm.code
    assert hold_products(gm) == 0 and gm.code == before


def test_both_products_of_a_sum():
    _, a, b, _ = inputs()
    gm, _ = trace(lambda a, b: (a.mm(b) + (a * 2).mm(b),), [a, b])
    assert hold_products(gm) == 2
    assert torch.equal(gm(a, b)[0], a.mm(b) + (a * 2).mm(b))
