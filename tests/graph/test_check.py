"""The check finds what is wrong, names the gate, and knows a kink from a mistake."""

import inspect

import pytest
import torch
from torch import nn

from backlit.errors import CaptureError
from backlit.gan import R1, Game, GradientPenalty
from backlit.gates import Constant, Gate
from backlit.gates import gate_of as gate_for
from backlit.gates.activations import Sigmoid
from backlit.gates.arithmetic import Multiply
from backlit.gates.base import aten
from backlit.graph import capture, check


def network(dropout=0.3):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.Sigmoid(),
        nn.Dropout(dropout),
        nn.Flatten(),
        nn.Linear(16, 5),
        nn.LogSoftmax(1),
    )


def verdicts(report):
    return {entry.name: entry.verdict for entry in report.entries}


def test_a_graph():
    report = check(capture(lambda x, y, z: (x + y) * z, x=-2.0, y=5.0, z=-4.0))
    assert report.passed and report.worst.error < 1e-10
    assert [(e.name, e.size) for e in report.entries] == [("x", 4), ("y", 4), ("z", 3)]


def test_a_network_frozen_with_its_masks_in_float64():
    net, x = network(), torch.randn(4, 2, 4, 4)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    report = check(net, x)
    assert report.passed and report.worst.error < 1e-7
    assert len(report.entries) == 7
    how = {e.name: (e.how, e.tried) for e in report.entries}
    assert how["0.weight"] == ("projections", 3) and how["0.bias"] == ("coordinates", 4)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_another_seed_is_another_mask():
    graph = capture(network(), torch.randn(4, 2, 4, 4))
    sizes = [[e.size for e in check(graph, seed=seed).entries] for seed in (0, 0, 1)]
    assert sizes[0] == sizes[1] != sizes[2]


def test_a_wrong_gate_is_named(monkeypatch):
    monkeypatch.setattr(Sigmoid, "backward", staticmethod(lambda dz, z, x: (dz * z,)))
    report = check(network(), torch.randn(4, 2, 4, 4))
    assert not report.passed and report.worst.verdict == "wrong"
    found = verdicts(report)
    assert found.pop("5.weight") == found.pop("5.bias") == "ok"  # behind the wrong gate
    assert found.pop("0.bias") == "ok"  # before a batch norm: no gradient at all
    assert set(found.values()) == {"wrong"}
    assert report.worst.gate == "Sigmoid 'sigmoid' in module '2'"
    text = str(report)
    assert "✗  0.weight" in text and "wrong: Sigmoid 'sigmoid' in module '2'" in text
    assert "FAILED: 4 of 7 wrong" in text


def test_one_wrong_element_of_a_large_weight(monkeypatch):
    gate = gate_for(aten.linear.default)
    rule = gate.backward

    def spoilt(dz, z, x, w, bias=None):
        grads = list(rule(dz, z, x, w, bias))
        right = grads[1]()
        right[3, 5] *= 1.01
        grads[1] = right
        return tuple(grads)

    monkeypatch.setattr(gate, "backward", staticmethod(spoilt))
    report = check(nn.Linear(40, 30), torch.randn(6, 40))
    assert verdicts(report) == {"weight": "wrong", "bias": "ok", "input": "ok"}


def test_a_lost_gradient(monkeypatch):
    monkeypatch.setattr(Multiply, "backward", staticmethod(lambda dz, z, x, y: (y * dz, None)))
    report = check(capture(lambda x, y: x * y, x=2.0, y=3.0, verdict=False))
    assert verdicts(report) == {"x": "ok", "y": "wrong"}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.relu(),
        lambda x: x.relu() - (-x).relu(),  # smooth in all, but its gates are not
        lambda x: x.abs(),
        lambda x: torch.maximum(x, -x),
        lambda x: x.clamp(0, 1),
        lambda x: x.amax(),
        lambda x: (x > 0) * (x + 1),  # a jump: a comparison has no gradient to check alone
    ],
)
def test_kinks_are_not_failures(function):
    report = check(capture(function, torch.zeros(3), verdict=False))
    assert report.passed and verdicts(report) == {"x": "kink"}
    assert report.entries[0].gate or "x > 0" in inspect.getsource(function)


def test_near_a_kink_is_smooth():
    report = check(lambda x: x.relu(), torch.tensor([3e-6, -3e-6, 1.0]))
    assert verdicts(report) == {"x": "ok"}


def test_a_wrong_slope_at_a_kink(monkeypatch):
    gate = gate_for(aten.relu.default)
    monkeypatch.setattr(gate, "backward", staticmethod(lambda dz, z, x: (7 * dz,)))
    report = check(capture(lambda x: x.relu(), torch.zeros(3), verdict=False))
    assert verdicts(report) == {"x": "wrong"}


def test_stop_gradients_hold():
    report = check(lambda x: x * x.detach() + (x.round() - x).detach(), torch.tensor([1.3, -0.4]))
    assert report.passed and verdicts(report) == {"x": "ok"}


def test_second_order():
    net, x = network(0.0), torch.randn(3, 2, 4, 4)
    gradients = capture(lambda x: net(x)[:, 0].sum(), x).gradient_graph()
    report = check(gradients.then(lambda _, d: d["x"].square().sum()))
    assert report.passed and report.worst.error < 1e-6


@pytest.mark.parametrize("penalty", [R1(2.0), GradientPenalty()], ids=["r1", "wgan_gp"])
def test_a_game_where_it_stands(penalty):
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    critic = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Dropout(0.3), nn.Linear(8, 1))
    game = Game(generator, critic, penalty=penalty, latent=3)
    batch = torch.randn(6, 4)
    game.prepare(batch)
    game.step(batch, 0)
    before = {k: v.detach().clone() for k, v in game.state.items()}
    report = check(game, batch)
    assert report.passed and report.worst.error < 1e-6
    names = [e.name for e in report.entries]
    assert names[0] == "D loss: discriminator/0.weight"
    assert "G loss: generator/3.bias" in names and len(names) == 10
    assert all(torch.equal(v, before[k]) for k, v in game.state.items())


def test_a_gate_on_its_samples_and_on_inputs():
    report = check(Multiply)
    assert report.passed and len(report.entries) > 16 and report.title == "gate Multiply"
    alone = check(Multiply, torch.randn(3), torch.randn(3))
    assert verdicts(alone) == {"input 0": "ok", "input 1": "ok"}


def test_not_finite():
    report = check(capture(lambda x: x.sqrt().sum(), torch.zeros(2), verdict=False))
    assert not report.passed and report.worst.error == float("inf")


def test_errors():
    with pytest.raises(CaptureError, match="a gate or a game to check, got int"):
        check(3)

    class Bare(Gate):
        pass

    with pytest.raises(CaptureError, match="gate Bare has no samples: expected inputs"):
        check(Bare)


def test_the_table():
    lines = str(check(capture(lambda x, y: x * y, x=2.0, y=3.0))).splitlines()
    assert lines[0] == "graph: numerical against analytic gradients in float64"
    assert lines[1].split() == ["name", "shape", "tried", "|gradient|", "error", "gate"]
    assert lines[2].startswith("✓  x     number  1 coordinates  3 ")
    assert lines[-1].startswith("passed, largest error ") and "tolerance 1e-06" in lines[-1]


@pytest.mark.slow
def test_every_gate():
    import backlit.gates

    wrong = []
    for gate in backlit.gates:
        if not issubclass(gate, Constant) and gate.samples is not None:
            report = check(gate)
            wrong += [] if report.passed else [(gate.__name__, str(report))]
    assert not wrong
