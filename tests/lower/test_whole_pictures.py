"""Convolutions of whole pictures opened for a compiler: the same numbers, and only where few."""

import pytest
import torch
from torch.nn import functional as F

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available, open_whole_pictures

LAST = torch.channels_last
CONVOLUTIONS = {aten.convolution.default, aten.convolution_backward.default}


def convolutions(gm):
    return sum(node.target in CONVOLUTIONS for node in gm.graph.nodes)


def backward(dz, x, w, mask, transposed, padding=0):
    settings = [1, 1], [padding] * 2, [1, 1], transposed, [0, 0], 1
    return aten.convolution_backward.default(dz, x, w, None, *settings, mask)


def plain(x, w, bias):
    """A whole picture's scores and both gradients, each gate as the step has it."""
    z = F.conv2d(torch.tanh(x), w, bias)
    dz = z * 2
    dx = backward(dz, x, w, [True, False, False], False)[0]
    return z.view(-1) * 2, dx, backward(dz, x, w, [False, True, False], False)[1]


def transposed(x, w, bias):
    """The same of a transposed convolution, from few numbers to a picture."""
    z = F.conv_transpose2d(x, w, bias)
    dz = torch.tanh(z)
    dx = backward(dz, x, w, [True, False, False], True)[0]
    return z * 2, dx, backward(dz, x, w, [False, True, False], True)[1]


def inputs_of(few, is_transposed, dtype, wide=32):
    torch.manual_seed(0)
    w = torch.randn(few, wide, 4, 3).to(dtype)
    x = torch.randn(5, few, 1, 1) if is_transposed else torch.randn(5, wide, 4, 3)
    bias = torch.randn(wide if is_transposed else few).to(dtype)
    return [x.to(dtype).contiguous(memory_format=LAST), w, bias]


@pytest.mark.parametrize("few", [1, 3])
@pytest.mark.parametrize("step", [plain, transposed])
@pytest.mark.parametrize("wide", [32, 3])  # channels last, channels first
@pytest.mark.parametrize("dtype, close", [(torch.float64, 1e-13), (torch.bfloat16, 2e-2)])
def test_equal(few, step, wide, dtype, close):
    inputs = inputs_of(few, step is transposed, dtype, wide)
    gm, _ = trace(step, inputs)
    expected = gm(*inputs)
    assert convolutions(gm) == 3 and open_whole_pictures(gm) == 3 and convolutions(gm) == 0
    for found, wanted in zip(gm(*inputs), expected, strict=True):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        assert (found - wanted).abs().max() <= close * wanted.abs().max()
    for node in gm.graph.nodes:
        if node.op == "call_function":
            assert node.meta["val"] is not None


def test_more_exact_in_bfloat16():
    inputs = inputs_of(2, False, torch.bfloat16, wide=128)
    exact = plain(*(x.double() for x in inputs))
    gm, _ = trace(plain, inputs)
    before = gm(*inputs)
    open_whole_pictures(gm)
    for found, other, wanted in zip(gm(*inputs), before, exact, strict=True):
        assert (found - wanted).norm() <= 1.01 * (other - wanted).norm()


@pytest.mark.parametrize("few, size, padding", [(5, 4, 0), (1, 5, 0), (1, 4, 1)])
def test_others_stay(few, size, padding):
    def step(x, w):
        z = F.conv2d(x, w, padding=padding)
        return z, backward(z, x, w, [False, True, False], False, padding)[1]

    gm, _ = trace(step, [torch.randn(2, 3, size, size), torch.randn(few, 3, 4, 4)])
    before = gm.code
    assert open_whole_pictures(gm) == 0 and gm.code == before


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
@pytest.mark.parametrize("step", [plain, transposed])
def test_compiled(step):
    inputs = inputs_of(2, step is transposed, torch.float32)
    gm, _ = trace(step, inputs)
    expected = gm(*inputs)
    open_whole_pictures(gm)
    for found, wanted in zip(compile_graph(gm, inputs)(*inputs), expected, strict=True):
        assert (found - wanted).abs().max() <= 1e-6 * wanted.abs().max()
