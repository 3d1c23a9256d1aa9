"""Probes: what they read is what PyTorch computes, and reading changes nothing."""

import math

import pytest
import torch
from torch import nn

import backlit as bl
from backlit.gan import Game
from backlit.lower import compiler_available
from backlit.step.probes import _length
from backlit.supervised import Supervised


def network(dtype=torch.float64):
    torch.manual_seed(0)
    layers = (nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2))
    return nn.Sequential(*layers).to(dtype)


def batch(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return 9 * torch.randn(16, 3, dtype=dtype, generator=generator), torch.arange(16) % 2


def test_readings_equal_pytorch():
    ours, plain = network(), network()
    trained = Supervised(ours, optimiser=bl.Optimiser("SGD", lr=0.1))
    trained.prepare(batch())
    metrics, readings = trained.probe(batch(), 0)
    found = readings.table()

    x, y = batch()
    outputs = []
    for layer in plain:
        x = layer(x)
        x.retain_grad()
        outputs.append(x)
    loss = nn.functional.cross_entropy(x, y)
    loss.backward()
    assert torch.allclose(metrics["loss"], loss)
    for i, output in enumerate(outputs):
        mine = found[f"forward: network.{i}"]
        expected = {
            "mean": output.mean(),
            "std": output.std(correction=0),
            "grad_norm": output.grad.norm(),
        }
        if i == 1:
            expected["zeros"] = (output == 0).double().mean()
        if i == 3:
            expected["saturated"] = (output.abs() > 0.98).double().mean()
        assert mine == pytest.approx({k: v.item() for k, v in expected.items()}, rel=1e-10)
    assert found["forward: network.1"]["zeros"] > 0.1
    assert found["forward: network.3"]["saturated"] > 0.05
    for name, p in plain.named_parameters():
        norm, grad = p.norm().item(), p.grad.norm().item()
        expected = {"norm": norm, "grad_norm": grad, "update_ratio": 0.1 * grad / norm}
        assert found[f"network/{name}"] == pytest.approx(expected, rel=1e-10)
    assert len(found) == 5 + 6


class Generator(nn.Module):
    latent = 2

    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)

    def forward(self, z):
        return torch.tanh(self.b(torch.relu(self.norm(self.a(z)))))


def game(**options):
    torch.manual_seed(0)
    return Game(Generator(), network(torch.float32)[:-2].append(nn.Linear(4, 1)), **options)


def points(n=8):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    "mode", ["plain", "watched", pytest.param("compiled", marks=pytest.mark.slow)]
)
def test_probing_changes_no_bit(mode):
    if mode == "compiled" and not compiler_available():
        pytest.skip("no C++ compiler that works")
    told, states, metrics = [], [], []
    for probed in (False, True):
        mine = game()
        mine.prepare(points(), mode)
        for index in range(3):
            if probed:
                found, _ = mine.probe(points(), index, told.append)
            else:
                found = mine.step(points(), index)
        states.append(mine.state)
        metrics.append(found)
    assert all(torch.equal(t, states[1][name]) for name, t in states[0].items())
    assert all(torch.equal(t, metrics[1][name]) for name, t in metrics[0].items())
    assert len(told) == (mode == "compiled")


def test_every_layer_and_phase_of_a_game_is_read():
    mine = game(d_steps=2, clip_norm=0.01)
    mine.prepare(points())
    before = {name: t.detach().clone() for name, t in mine.state.items()}
    metrics, readings = mine.probe(points(), 0)
    found = readings.table()
    phases = {name.split(": discriminator")[0] for name in found if ": discriminator" in name}
    assert phases == {"D on real", "D on fake", "G: D on fake"}
    # A module that works on tensors itself is told apart by its lines.
    assert {"G makes fakes: generator.a", "G makes fakes: generator.norm"} <= found.keys()
    for role, network_ in (("generator", mine.generator), ("discriminator", mine.discriminator)):
        squares = 0.0
        for name, p in network_.named_parameters():
            old = before[f"{role}/{name}"]
            mine_ = found[f"{role}/{name}"]
            assert mine_["norm"] == pytest.approx(float(old.norm()), rel=1e-6)
            if "update_ratio" in mine_:
                ratio = float((p.detach() - old).norm() / old.norm())
                assert mine_["update_ratio"] == pytest.approx(ratio, rel=1e-4)
            squares += mine_["grad_norm"] ** 2
        if role == "generator":  # before clipping, as the metric says it
            assert math.sqrt(squares) == pytest.approx(float(metrics["grad_norm_g"]), rel=1e-5)
    bias = found["generator/norm.bias"]
    assert bias["norm"] == 0 and "update_ratio" not in bias


def test_long_sums_are_cut_into_even_parts():
    for n in (1, 7, 4096, 4097, 8192, 16384, 100_000, 1_000_003):
        length = _length(n)
        assert n % length == 0 and n // length <= 256
        assert length <= 4096 or n in (4097, 1_000_003)
    assert _length(0) == 1


@pytest.mark.parametrize("width", [3, 64, 2048, 5001])
def test_sums_of_any_length_are_whole(width):
    """One, several, or no chains side by side, one or several parts."""
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(3, width), nn.Linear(width, 2)).double()
    expected = ours[0](batch()[0][:15]).detach()
    trained = Supervised(ours, optimiser=bl.Optimiser("SGD", lr=0.1))
    first = tuple(x[:15] for x in batch())
    trained.prepare(first)
    found = trained.probe(first, 0)[1].table()["forward: network.0"]
    assert found["mean"] == pytest.approx(float(expected.mean()), rel=1e-10)
    assert found["std"] == pytest.approx(float(expected.std(correction=0)), rel=1e-10)


def test_training_writes_the_probes(tmp_path):
    data = bl.Samples("points", *batch(torch.float32))
    options = dict(steps=7, batch=4, mode="plain", progress=False)
    trained = Supervised(network(torch.float32))
    run = bl.train(trained, data, run=tmp_path / "a", probe_every=3, **options)
    rows = run.probes()
    assert {row[0] for row in rows} == {3, 6}
    assert len(run.probes(3)) == len(rows) / 2
    other = Supervised(network(torch.float32))
    bl.train(other, data, run=tmp_path / "b", probe_every=0, **options)
    assert all(torch.equal(t, other.state[name]) for name, t in trained.state.items())
    with pytest.raises(bl.BacklitError, match="has no readings of probes; expected one of: none"):
        bl.train(other, data, run=tmp_path / "b", probe_every=0, **options).probes()
