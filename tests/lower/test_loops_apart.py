"""Among wide convolutions, loops that have only their outer axis in common are left apart."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available
from backlit.lower.loops_apart import loops_apart

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what PyTorch deprecates in its own files
    import torch._inductor.lowering  # has the rules registered
    from torch._inductor.codegen.cpp import CppScheduling, OuterLoopFusedSchedulerNode


def test_put_back():
    before = CppScheduling._get_outer_loop_fusion_depth
    with loops_apart():
        assert CppScheduling._get_outer_loop_fusion_depth(None, None, None) == 0
    assert CppScheduling._get_outer_loop_fusion_depth is before


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
@pytest.mark.parametrize(("channels", "joined"), [(32, False), (3, True)])
def test_only_among_wide_convolutions(tmp_path, monkeypatch, channels, joined):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    torch.manual_seed(0)
    net = nn.Conv2d(channels, channels, 3, padding=1)
    weights = [p.detach() for p in net.parameters()]

    def step(x, weight, bias):
        z = F.conv2d(x, weight, bias, padding=1)
        return z, z.softmax(3)

    inputs = [torch.randn(4, channels, 8, 8), *weights]
    gm, _ = trace(step, inputs)
    fused, fuse = [], OuterLoopFusedSchedulerNode.fuse.__func__
    monkeypatch.setattr(
        OuterLoopFusedSchedulerNode,
        "fuse",
        classmethod(lambda cls, *given: fused.append(given) or fuse(cls, *given)),
    )
    for got, expected in zip(compile_graph(gm, inputs)(*inputs), step(*inputs), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    assert bool(fused) == joined
