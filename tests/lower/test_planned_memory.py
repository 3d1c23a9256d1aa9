"""A large graph's values share one block of memory; what it computes stays the same."""

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
