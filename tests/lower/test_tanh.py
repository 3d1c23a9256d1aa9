"""tanh of a compiled graph: exact in float32, of one exponential where numbers are bfloat16."""

import pytest
import torch

from backlit.graph.trace import trace
from backlit.lower import compile_graph, compiler_available

EDGES = [0.0, -0.0, 1e-4, -1e-4, 0.3, -9.0, 50.0, -200.0, float("inf"), -float("inf"), float("nan")]


def points():
    return torch.cat([torch.tensor(EDGES), torch.linspace(-6, 6, 4096)])


def step(x, low):
    return x.tanh(), low.tanh(), low.float().tanh()


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_tanh_beside_bfloat16(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    inputs = [points(), points().bfloat16()]
    gm, _ = trace(step, inputs)
    found = compile_graph(gm, inputs)(*inputs)
    for z, x in zip(found, (inputs[0], inputs[1], inputs[1].float()), strict=True):
        exact, known = x.double().tanh(), ~x.isnan()
        assert torch.equal(~z.isnan(), known)
        rounding = 2**-8 if z.dtype == torch.bfloat16 else 0.0  # one unit in the last place
        torch.testing.assert_close(z.double()[known], exact[known], rtol=rounding, atol=3e-7)


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
def test_float32_stays_exact(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    x = torch.logspace(-30, 1, 4096)
    gm, _ = trace(lambda x: (x.tanh(),), [x])
    (found,) = compile_graph(gm, [x])(x)
    torch.testing.assert_close(found.double(), x.double().tanh(), rtol=5e-7, atol=0)
