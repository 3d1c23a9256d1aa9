"""A large graph's values share one block of memory, and some are kept; what it computes stays."""

import pytest
import torch

from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler, compiler_available, kept_buffers


def step(state, x):
    for _ in range(3):
        x = torch.tanh(x @ state)
    loss = (x * x).mean()
    state.copy_(state - 0.1 * loss)
    return loss, x


def inputs():
    return [torch.randn(32, 32, dtype=torch.float64), torch.randn(64, 32, dtype=torch.float64)]


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_equal_with_one_block_call_after_call(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    monkeypatch.setattr(compiler, "_PLANNED_BYTES", 0)
    monkeypatch.setattr(kept_buffers, "_LARGE_BYTES", 0)
    gm, _ = trace(step, inputs())
    compiled = compile_graph(gm, inputs())
    (text,) = [p.read_text() for p in tmp_path.rglob("step.py")]
    assert "alloc_from_pool(pool" in text
    state, x = inputs()
    own, theirs, kept = state.clone(), state.clone(), []
    for i in range(3):
        kept.append((compiled(own, x + i), gm(theirs, x + i)))
        torch.testing.assert_close(own, theirs)
    for got, wanted in kept:
        torch.testing.assert_close(tuple(got), tuple(wanted))


def test_asked_for_where_it_pays(monkeypatch):
    gm, _ = trace(step, inputs())
    assert not compiler._worth_planning(gm)
    monkeypatch.setattr(compiler, "_PLANNED_BYTES", 1000)
    assert compiler._worth_planning(gm)
    monkeypatch.setattr(compiler, "_PLANNED_EACH", 64 * 32 * 8)
    assert not compiler._worth_planning(gm)


@pytest.mark.parametrize(
    "channels, kept", [(16, True), (4, False), (0, False)], ids=["wide", "narrow", "none"]
)
def test_what_several_loops_read_is_kept_among_wide_convolutions(monkeypatch, channels, kept):
    def convolved(x, w):
        return (torch.conv2d(x, w) if channels else x * w.mean()).sum()

    given: list[dict] = []
    monkeypatch.setattr(compiler.cache, "key_of", lambda gm, inputs, settings: "key")
    monkeypatch.setattr(compiler.cache, "load", lambda *asked: None)
    monkeypatch.setattr(
        compiler,
        "_compile",
        lambda gm, inputs, settings: given.append(settings) or compiler._Made(gm),
    )
    shape = (2, channels or 3, 5, 5), (channels or 3, channels or 3, 3, 3)
    inputs = [torch.randn(size) for size in shape]
    gm, _ = trace(convolved, inputs)
    compile_graph(gm, inputs)
    assert [settings.get("realize_reads_threshold") for settings in given] == [3 if kept else None]
