"""Vectors computed once: a normalisation's root leaves the loops over pixels, the numbers stay."""

import pytest
import torch
from torch.nn import functional as F

from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available
from backlit.lower.hold_vectors import hold_vectors


def traced(function, *inputs):
    gm, _ = trace(function, inputs)
    return gm


def normalised(x, variance):
    root = torch.rsqrt(variance + 1e-5)
    scale = (root * 2).view(1, -1, 1, 1)
    return x * scale, root.sqrt()


def test_a_root_is_held_where_something_larger_is_computed_with_it():
    inputs = torch.randn(2, 8, 4, 4), torch.rand(8)
    gm = traced(normalised, *inputs)
    expected = gm(*inputs)
    assert hold_vectors(gm.graph) == 1  # not the second root, which nothing is computed with
    gm.graph.lint()
    gm.recompile()
    for got, wanted in zip(gm(*inputs), expected, strict=True):
        assert torch.equal(got, wanted)
    (root,) = (node for node in gm.graph.nodes if node.target is aten.rsqrt.default)
    (view,) = root.users
    assert view.target is aten.as_strided.default and len(view.users) == 2


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda x, v: x * (v + 1), (torch.randn(4, 8), torch.rand(8))),  # no root
        (lambda x, v: x * v.sqrt(), (torch.randn(4, 8), torch.rand(4, 8))),  # nothing larger
        (lambda x, v: x * v.sqrt(), (torch.randn(4, 1), torch.rand(1))),  # one number
        (lambda x, v: x * v.sqrt(), (torch.randn(2, 8192), torch.rand(8192))),  # too long
    ],
)
def test_others_are_not(function, inputs):
    assert hold_vectors(traced(function, *inputs).graph) == 0


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_compiled_code_takes_the_root_once(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    torch.manual_seed(0)
    inputs = [torch.randn(4, 16, 8, 8), torch.randn(16, 16, 3, 3), torch.rand(16), torch.rand(16)]

    def step(x, w, scale, shift):
        y = F.conv2d(x, w, padding=1)
        mean, variance = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), keepdim=True)
        z = (y - mean) / torch.sqrt(variance + 1e-5)
        return F.relu(z * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)), (z * y).sum((0, 2, 3))

    compiled = compile_graph(traced(step, *inputs), inputs)
    for got, expected in zip(compiled(*inputs), step(*inputs), strict=True):
        torch.testing.assert_close(got, expected)
    (text,) = tmp_path.glob("compiled/*/step.py")
    assert text.read_text().count(".sqrt()") == 1
