"""Weights laid channels last once for all that read them: the same numbers."""

import pytest
import torch

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available
from backlit.lower.hold_weights import hold_weights
from backlit.lower.lowerings import LOWERINGS, call_of

SETTINGS = ([2, 2], [1, 1], [1, 1], False, [0, 0], 1)


def twice(x, y, w, dz, pixel):
    """A weight that two pictures and a gradient see, cast; another of one pixel."""
    w = w.bfloat16()
    last = aten.contiguous.default(w, memory_format=torch.channels_last)
    first = aten.convolution.default(x.bfloat16(), last, None, *SETTINGS)
    args = (y.bfloat16(), w, None, *SETTINGS)
    matrix_form = LOWERINGS["correlate"]["gemm"]
    second = matrix_form.run(call_of(aten.convolution.default, args, {}, first))
    back = aten.convolution_backward.default(
        dz.bfloat16(), x.bfloat16(), w, None, *SETTINGS, [True, False, False]
    )[0]
    third = aten.convolution.default(x, pixel, None, [1, 1], [0, 0], *SETTINGS[2:])
    return first, second, back, third


def inputs_of():
    torch.manual_seed(0)
    x, y = torch.randn(2, 2, 16, 8, 8)
    return [x, y, torch.randn(32, 16, 4, 4), torch.randn(2, 32, 4, 4), torch.randn(16, 16, 1, 1)]


def test_equal():
    inputs = inputs_of()
    gm, _ = trace(twice, inputs)
    expected = gm(*inputs)
    assert hold_weights(gm) == 1
    for found, wanted in zip(gm(*inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    copies = [node for node in gm.graph.nodes if node.target is aten.clone.default]
    assert [copy.meta["val"].shape for copy in copies] == [(32, 16, 4, 4)]
    (held,) = copies[0].users
    assert len(held.users) == 3
    assert held.meta["val"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.skipif(not compiler_available(), reason="needs a C++ compiler")
def test_compiled():
    inputs = inputs_of()
    gm, _ = trace(twice, inputs)
    for found, wanted in zip(compile_graph(gm, inputs)(*inputs), gm(*inputs), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-2, atol=1e-2)
