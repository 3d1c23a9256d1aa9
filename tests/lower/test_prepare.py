"""Steps made ready: a game's precision reaches its steps, plain and compiled."""

import pytest
import torch
from torch import nn

from backlit.errors import BacklitError, RecipeError
from backlit.gan import Game
from backlit.gates.base import aten
from backlit.graph.trace import trace
from backlit.lower import compiler_available, lower_gates, prepare_graph


def game(precision=None, dtype=torch.float32):
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    discriminator = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    networks = generator.to(dtype), discriminator.to(dtype)
    return Game(*networks, latent=4, precision=precision, ema=None, optimiser="SGD")


def losses(game, mode, steps=5):
    batch = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    batch = batch.to(game._like.dtype)
    assert game.prepare(batch, mode) == mode
    return torch.stack([game.step(batch, index)["loss_d"] for index in range(steps)])


def test_bfloat16_changes_a_plain_game_a_little():
    exact, low = losses(game(), "plain"), losses(game("bfloat16"), "plain")
    assert not torch.equal(exact, low)
    torch.testing.assert_close(exact, low, atol=0.02, rtol=0)


def test_float32_and_float64_are_the_networks_own():
    assert torch.equal(losses(game(), "plain"), losses(game("float32"), "plain"))
    assert losses(game("float64", torch.float64), "plain").dtype == torch.float64


@pytest.mark.skipif(not compiler_available(), reason="needs a C++ compiler")
def test_compiled_bfloat16_is_near_plain_bfloat16():
    plain, compiled = (losses(game("bfloat16"), mode) for mode in ("plain", "compiled"))
    torch.testing.assert_close(plain, compiled, atol=0.02, rtol=0)


def test_the_state_stays_float32():
    low = game("bfloat16")
    before = {name: t.dtype for name, t in low.state.items()}
    losses(low, "plain")
    assert {name: t.dtype for name, t in low.state.items()} == before
    assert low.description["precision"] == "bfloat16"


def test_watched_runs_the_gates_that_are_shown():
    exact, low = losses(game(), "watched"), losses(game("bfloat16"), "watched")
    assert torch.equal(exact, low)


def test_precision_errors():
    with pytest.raises(RecipeError, match=r"expected one of float32, bfloat16, .*got 'float16'"):
        game("float16")
    with pytest.raises(RecipeError, match=r"expected torch.float32 networks, got torch.float64"):
        game("bfloat16", torch.float64)
    gm, _ = trace(lambda x: (x + 1,), [torch.ones(2)])
    with pytest.raises(BacklitError, match=r"precision: expected one of .*got 'int8'"):
        prepare_graph(gm, [torch.ones(2)], "int8")
    with pytest.raises(BacklitError, match=r"expected \(2,\) torch.float32, .*got \(3,\)"):
        prepare_graph(gm, [torch.ones(3)])


def test_the_given_graph_is_left_as_it_is():
    gm, _ = trace(lambda x: (x * 1 + 1,), [torch.ones(2)])
    before = str(gm.graph)
    assert len(prepare_graph(gm, [torch.ones(2)]).graph.nodes) < len(gm.graph.nodes)
    assert str(gm.graph) == before


def test_chosen_kernels_are_put_in_and_chosen_once(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path))
    gm = trace(
        lambda x, w: (
            aten.convolution.default(x, w, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1),
        ),
        [torch.randn(8, 32, 32, 32), torch.randn(64, 32, 4, 4)],
        ["x", "w"],
    )[0]
    inputs = [torch.randn(8, 32, 32, 32), torch.randn(64, 32, 4, 4)]
    told: list[str] = []
    ready = prepare_graph(gm, inputs)
    lower_gates(ready, inputs, told=told.append)
    lower_gates(ready, inputs, told=told.append)
    assert len(told) == 1 and told[0].startswith("measuring kernels: 1 of 1, correlate")
    gate = told[0].partition(", ")[2]
    other, chosen = lower_gates(ready, inputs, {gate: "gemm"})
    assert chosen == {gate: "gemm"}
    assert aten.convolution.default not in {node.target for node in other.graph.nodes}
    torch.testing.assert_close(other(*inputs)[0], gm(*inputs)[0], rtol=1e-4, atol=1e-3)
