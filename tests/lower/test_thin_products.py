"""Thin products opened for a compiler: the same numbers, and only where a side is thin."""

import pytest
import torch

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available, open_thin_products

PRODUCTS = {aten.mm.default, aten.addmm.default}
SIZES = [(32, 2, 16), (32, 16, 2), (2, 16, 32), (32, 16, 1), (32, 1, 16), (1, 16, 32), (3, 4, 2)]


def products(gm):
    return sum(node.target in PRODUCTS for node in gm.graph.nodes)


def matrix(rows, columns, turned, dtype):
    lying = torch.randn(columns, rows).t() if turned else torch.randn(rows, columns)
    return lying.to(dtype)


def step(bias, a, b):
    """A product between other gates, its value read in its memory's order."""
    z = torch.addmm(bias, torch.tanh(a), b) if bias is not None else torch.tanh(a).mm(b)
    return z.view(-1) * 2, z


def inputs_of(size, turned_a, turned_b, dtype, bias=True):
    torch.manual_seed(0)
    m, k, n = size
    a, b = matrix(m, k, turned_a, dtype), matrix(k, n, turned_b, dtype)
    return [torch.randn(n).to(dtype) if bias else None, a, b]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("turned_a", [False, True])
@pytest.mark.parametrize("turned_b", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype, close", [(torch.float64, 1e-13), (torch.bfloat16, 1e-2)])
def test_equal(size, turned_a, turned_b, bias, dtype, close):
    first, *inputs = inputs_of(size, turned_a, turned_b, dtype, bias)
    if bias:
        gm, _ = trace(step, [first, *inputs])
        inputs = [first, *inputs]
    else:
        gm, _ = trace(lambda a, b: step(None, a, b), inputs)
    expected = gm(*inputs)
    assert products(gm) == 1 and open_thin_products(gm) == 1 and products(gm) == 0
    for found, wanted in zip(gm(*inputs), expected, strict=True):
        assert found.dtype == wanted.dtype and found.stride() == wanted.stride()
        assert (found - wanted).abs().max() <= close * wanted.abs().max()
    for node in gm.graph.nodes:
        if node.op == "call_function":
            assert node.meta["val"] is not None


@pytest.mark.parametrize("size", [(8, 8, 8), (1024, 1024, 2), (4, 0, 4)])
def test_others_stay(size):
    inputs = inputs_of(size, False, False, torch.float32)
    gm, _ = trace(step, inputs)
    before = gm.code
    assert open_thin_products(gm) == 0 and gm.code == before


def test_many_stay():
    """A net unrolled in time has one a step; opened they take longer to compile than they save."""

    def function(x, w):
        for _ in range(70):
            x = torch.tanh(x.mm(w))
        return x

    gm, _ = trace(function, [torch.randn(2, 8), torch.randn(8, 8)])
    assert open_thin_products(gm) == 0 and products(gm) == 70


@pytest.mark.skipif(not compiler_available(), reason="needs a C++ compiler")
@pytest.mark.parametrize("size", SIZES[:3])
def test_compiled(size):
    inputs = inputs_of(size, False, True, torch.float32)
    gm, _ = trace(step, inputs)
    expected = gm(*inputs)
    open_thin_products(gm)
    for found, wanted in zip(compile_graph(gm, inputs)(*inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted)
