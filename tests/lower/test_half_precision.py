"""tanh and variance of a compiled graph: cheaper where numbers are bfloat16, as near as need be."""

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


@pytest.mark.skipif(not compiler_available(), reason="no C++ compiler")
@pytest.mark.parametrize(
    ("dtype", "rtol"),
    [(torch.bfloat16, 1e-4), (torch.float32, 5e-6)],  # bfloat16 itself is rounded by 4e-3
    ids=str,
)
def test_variance(dtype, rtol, tmp_path, monkeypatch):
    """Mean and variance in float32, also where the mean is thirty times the spread."""
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    torch.manual_seed(0)
    for size, mean in ((32, 0.0), (8, 30.0)):
        x = (torch.randn(64, 16, size, size) + mean).to(dtype, memory_format=torch.channels_last)
        gm, _ = trace(lambda x: torch.var_mean(x.float(), (0, 2, 3), correction=0), [x])
        exact = torch.var_mean(x.double(), (0, 2, 3), correction=0)
        for found, wanted in zip(compile_graph(gm, [x])(x), exact, strict=True):
            torch.testing.assert_close(found.double(), wanted, rtol=rtol, atol=5e-6)
