"""Kernels are given to the C++ compiler as they are written, several in a file."""

import warnings

import pytest
import torch

from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available, early_kernels


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
@pytest.mark.parametrize(("long", "files"), [(1, 3), (10**6, 1)])
def test_every_kernel_comes_out_of_a_file_started_early(tmp_path, monkeypatch, long, files):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch deprecates in its own files
        from torch._inductor.async_compile import AsyncCompile
        from torch._inductor.codecache import CppPythonBindingsCodeCache
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    monkeypatch.setattr(early_kernels, "_LONG", long)
    alone, built = [], []
    monkeypatch.setattr(AsyncCompile, "cpp_pybinding", lambda self, *given: alone.append(given))
    load = CppPythonBindingsCodeCache.load_async

    def build(text, *given, **options):
        built.append(text)
        return load(text, *given, **options)

    monkeypatch.setattr(CppPythonBindingsCodeCache, "load_async", build)
    inputs = [torch.randn(n, m, dtype=torch.float64) for n, m in ((64, 32), (32, 16))]
    gm, _ = trace(lambda x, w: (((x.exp() @ w).sin() @ w.T).sum(0), x.cos().sum()), inputs)
    for _ in range(2):  # compiled; out of the cache
        got = compile_graph(gm, inputs)(*inputs)
        torch.testing.assert_close(tuple(got), tuple(gm(*inputs)))
    # One is PyTorch's headers' own, in another thread: it may come at any place.
    kernels = [text for text in built if early_kernels._FIRST not in text]
    assert len(kernels) == len(built) - 1 == files
    assert sum(text.count("PyMODINIT_FUNC PyInit_kernel") for text in kernels) == 3
    assert not alone


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
@pytest.mark.parametrize("linker", ["-Wl,--no-fatal-warnings", "-fuse-ld=there_is_none"])
def test_a_linker_that_is_not_there_is_not_asked_for(monkeypatch, linker):
    monkeypatch.setattr(early_kernels, "_LINKER", linker)
    early_kernels._flags.cache_clear()
    try:
        assert (linker in early_kernels._flags()) == ("none" not in linker)
    finally:
        early_kernels._flags.cache_clear()
