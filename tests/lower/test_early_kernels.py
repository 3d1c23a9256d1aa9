"""Kernels are given to the C++ compiler as they are written, each once."""

import warnings

import pytest
import torch

from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_every_kernel_is_at_work_before_the_step_asks_for_it(tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch deprecates in its own files
        from torch._inductor.async_compile import AsyncCompile
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    asked = []
    compiled = AsyncCompile.cpp_pybinding

    def ask(self, types, code):
        asked.append((types, code))
        return compiled(self, types, code)

    monkeypatch.setattr(AsyncCompile, "cpp_pybinding", ask)
    inputs = [torch.randn(64, 32), torch.randn(32, 16)]
    gm, _ = trace(lambda x, w: ((x.exp() @ w).sum(0), x.sin().sum()), inputs)
    got = compile_graph(gm, inputs)(*inputs)
    torch.testing.assert_close(tuple(got), tuple(gm(*inputs)))
    n = len(asked) // 2
    assert n >= 2 and asked[:n] == asked[n:]
