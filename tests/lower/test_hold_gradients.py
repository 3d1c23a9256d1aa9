"""Weight gradients in the order of their numbers before they are flattened: the same numbers."""

import pytest
import torch
from torch.nn.functional import conv2d

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available
from backlit.lower.hold_gradients import hold_gradients


def joined(low):
    """Two convolutions' gradients, flattened and joined; the second is a sum, and read twice."""

    def function(x, dz, w):
        z = x.bfloat16() if low else x
        dw = torch.ops.aten.convolution_backward(
            dz.to(z.dtype), z, w.to(z.dtype), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
            [False, True, False],
        )[1]  # fmt: skip
        first, second = dw.float(), dw.float() + w
        return torch.cat([first.reshape(-1), second.reshape(-1)]), second.amax((1, 2, 3))

    return function


def inputs_of(kernel):
    torch.manual_seed(0)
    w = torch.randn(16, 32, kernel, kernel)
    x = torch.randn(2, 32, 6, 6)
    return [x, torch.randn_like(conv2d(x, w, padding=1)), w]


@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize(("kernel", "held"), [(3, 2), (1, 0)])
def test_equal(low, kernel, held):
    inputs = inputs_of(kernel)
    gm, _ = trace(joined(low), inputs)
    expected = gm(*inputs)
    assert hold_gradients(gm) == held
    for found, wanted in zip(gm(*inputs), expected, strict=True):
        assert torch.equal(found, wanted)
    copies = [node for node in gm.graph.nodes if node.target is aten.clone.default]
    assert len(copies) == held and all(copy.meta["val"].is_contiguous() for copy in copies)


@pytest.mark.skipif(not compiler_available(), reason="needs a C++ compiler")
def test_compiled():
    inputs = inputs_of(3)
    gm, _ = trace(joined(False), inputs)
    for found, wanted in zip(compile_graph(gm, inputs)(*inputs), gm(*inputs), strict=True):
        torch.testing.assert_close(found, wanted)
