"""Kernels are given to the C++ compiler as they are written, several in a file."""

import warnings
from concurrent.futures import Future

import pytest
import torch

from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available, early_kernels


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
@pytest.mark.parametrize(("long", "files"), [(1, {1, 2, 3}), (10**6, {1})])
def test_every_kernel_comes_out_of_a_file_started_early(tmp_path, monkeypatch, long, files):
    """How many files depends on when the compiler was done with the first."""
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
    assert len(kernels) == len(built) - 1 and len(kernels) in files
    assert sum(text.count("PyMODINIT_FUNC PyInit_kernel") for text in kernels) == 3
    assert not alone


class Bindings:
    """Stands for the compiler's class: what it was given, and futures that are done when told."""

    entry_function, call_entry_function, suffix_template = "kernel", "kernel({})", ""

    def __init__(self):
        self.texts, self.futures = [], []

    def load_async(self, text, device, extra_flags, submit_fn):
        self.texts.append(text)
        submit_fn(None)

    def start_call(self, call):
        self.futures.append(Future())
        return self.futures[-1]


@pytest.mark.parametrize(("threads", "started"), [(1, [1, 1, 2]), (2, [1, 1, 2]), (3, [1, 2, 3])])
def test_one_core_writes_while_the_others_compile(threads, started):
    bindings = Bindings()
    files = early_kernels._Files(bindings, bindings.start_call, threads)
    texts = [f"// {i}".ljust(early_kernels._LONG + 1) for i in range(7)]
    counts = []
    for text in texts[:2]:
        files.add(["float*"], text)
        counts.append(len(bindings.texts))
    bindings.futures[0].set_result(None)
    files.add(["float*"], texts[2])
    assert [*counts, len(bindings.texts)] == started
    for text in texts[3:]:
        files.add(["float*"], text)
    before = len(bindings.texts)
    for text in texts:
        assert files.get(["float*"], text) is not None
    assert files.get(["float*"], "never added") is None
    last = bindings.texts[before:]
    assert len(last) == threads
    for text in texts:
        assert sum(text in file for file in bindings.texts) == 1
    counts = [sum(text in file for text in texts) for file in last]
    assert max(counts) - min(counts) <= 1


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
@pytest.mark.parametrize("linker", ["-Wl,--no-fatal-warnings", "-fuse-ld=there_is_none"])
def test_a_linker_that_is_not_there_is_not_asked_for(monkeypatch, linker):
    monkeypatch.setattr(early_kernels, "_LINKER", linker)
    early_kernels._flags.cache_clear()
    try:
        assert (linker in early_kernels._flags()) == ("none" not in linker)
    finally:
        early_kernels._flags.cache_clear()
