"""Maximum pools opened for a compiler: equal to PyTorch's, ties and all."""

import pytest
import torch
from torch.nn.functional import conv2d, relu

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available, open_pools
from backlit.lower.layout import channels_last

POOL = aten.max_pool2d_with_indices.default
ADJOINT = aten.max_pool2d_with_indices_backward.default
NARROW, WIDE = 2, 16


def step(window, rectified=False):
    """A pool with its derivative behind a convolution whose width decides the layout."""

    def function(x, w, dz):
        x = conv2d(x, w)
        y = relu(x) if rectified else x
        z, places = POOL(y, window, window)
        dx = ADJOINT(dz, y, window, window, [0, 0], [1, 1], False, places)
        return z, dx * (y > 0) if rectified else dx

    return function


def inputs_of(channels, window, dtype):
    torch.manual_seed(0)
    kh, kw = window
    # Few different numbers, so that windows have several largest elements.
    x = torch.randint(-2, 3, (3, channels, 4 * kh, 5 * kw)).to(dtype)
    return [x, torch.eye(channels, dtype=dtype)[:, :, None, None], torch.randn(3, channels, 4, 5)]


def targets(gm):
    return {node.target for node in gm.graph.nodes}


@pytest.mark.parametrize("channels", [NARROW, WIDE])
@pytest.mark.parametrize("window", [[2, 2], [1, 3], [3, 2]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rectified", [False, True])
def test_equal(channels, window, dtype, rectified):
    x, w, dz = inputs_of(channels, window, dtype)
    inputs = [x, w, dz.to(dtype)]
    gm, _ = trace(step(window, rectified), inputs)
    opened = open_pools(gm)
    assert not targets(opened) & {POOL, ADJOINT}
    for found, expected in zip(opened(*inputs), gm(*inputs), strict=True):
        assert torch.equal(found, expected) and found.dtype == expected.dtype


@pytest.mark.skipif(not compiler_available(), reason="needs a C++ compiler")
@pytest.mark.parametrize("channels", [NARROW, WIDE])
def test_compiled(channels):
    inputs = inputs_of(channels, [2, 2], torch.float32)
    gm, _ = trace(step([2, 2], rectified=True), inputs)
    found = compile_graph(open_pools(gm), inputs)(*inputs)
    for a, b in zip(found, gm(*inputs), strict=True):
        assert torch.equal(a, b)


def test_rectified_windows_are_masked_before_they_are_spread():
    inputs = inputs_of(NARROW, [2, 2], torch.float32)
    gm, _ = trace(step([2, 2], rectified=True), inputs)
    (mask,) = [n for n in open_pools(gm).graph.nodes if n.target is aten.gt.Scalar]
    assert mask.meta["val"].shape == (3, NARROW, 4, 5)  # of the pool's result, not of its input


@pytest.mark.parametrize(
    "settings",
    [
        ([3, 3], [2, 2]),  # overlapping
        ([2, 2], [3, 3]),  # apart
        ([2, 2], [2, 2], [1, 1]),  # padded
        ([2, 2], [2, 2], [0, 0], [2, 2]),  # dilated
        ([5, 5],),  # does not cover
        ([6, 6],),  # many gates
    ],
)
def test_others_stay(settings):
    gm, _ = trace(lambda x: POOL(x, *settings)[0], [torch.randn(2, 3, 12, 12)])
    assert open_pools(gm) is gm


def test_places_that_are_read_stay():
    gm, _ = trace(lambda x: POOL(x, [2, 2], [2, 2]), [torch.randn(2, 3, 4, 4)])
    assert open_pools(gm) is gm


def test_layout():
    def two(x, narrow, wide):
        return conv2d(conv2d(x, narrow), wide)

    x = torch.randn(2, 3, 8, 8)
    for width, last in ((8, False), (32, True)):
        weights = [torch.randn(width, 3, 1, 1), torch.randn(width, width, 3, 3)]
        gm, _ = trace(two, [x, *weights])
        assert channels_last(gm) is last
    for node in gm.graph.nodes:
        node.meta.pop("val", None)
    assert channels_last(gm)  # nothing known: the compiler's own choice
