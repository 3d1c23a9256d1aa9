"""A whole adversarial step shown: phases, gradients on forward wires, times, state left alone."""

from functools import cache

import pytest
import torch
from torch import nn

from backlit.gan import R1, Game
from backlit.graph.show import describe, overview, page


class Generator(nn.Sequential):
    latent = 3

    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2), nn.Tanh())


@cache
def played():
    torch.manual_seed(0)
    d = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    game = Game(Generator(), d, penalty=R1(gamma=1.0))
    batch = torch.randn(4, 2)
    game.prepare(batch)
    step = next(iter(game.steps.values()))
    before = {name: t.detach().clone() for name, t in step.state.items()}
    times = step.times({"real": batch}, repeats=1)
    kept = all(torch.equal(before[name], t) for name, t in step.state.items())
    _, watched = step.watch({"real": batch}, 0, 0)
    return step, describe(step, watched=watched, times=times), kept


def test_phases():
    _, d, _ = played()
    labels = [g.label for g in d.groups if g.kind in ("phase", "repeat") and g.name != "#0"]
    for label in ("G makes fakes", "D on real", "D on fake", "D loss", "D penalty", "D update"):
        assert any(found.startswith(label) for found in labels), label
    assert d.groups[-1].label == "new state" or "new state" in labels
    assert "G makes fakes (2)" in labels and "D on real · backward (2)" in labels
    assert "G: D on fake · backward" in overview(d, "phase", 120)


def test_the_phases_lead_nowhere_back():
    _, d, _ = played()
    place = {}
    groups = {g.name: g for g in d.groups}

    def walk(item, top):
        if item in groups:
            for inner in groups[item].items:
                walk(inner, top)
        else:
            place[item] = top

    for top in d.groups[0].items:
        walk(top, top)
    ways = {(place[w.source], place[w.target]) for w in d.wires if w.source in place}
    ways = {(a, b) for a, b in ways if a != b}
    left = {x for way in ways for x in way}
    while left:
        free = {x for x in left if not any(b == x and a in left for a, b in ways)}
        assert free, "a circle of phases"
        left -= free


def test_inputs_have_their_kinds():
    step, d, _ = played()
    kinds = {w.label: w.kind for w in d.inputs}
    assert list(kinds) == step.names
    assert kinds["generator/float32"] == "parameter"
    assert kinds["generator/1.running_mean"] == kinds["ema/float32"] == "state"
    assert kinds["real"] == "input" and kinds["D0/z"] == "noise" and kinds["lr_d"] == "rate"
    assert [w.label for w in d.outputs] == step.metrics


def test_gradients_stand_on_forward_wires():
    _, d, _ = played()
    made = [g for g in d.gates if g.role == "forward" and g.gradient is not None]
    assert len(made) > 12 and all(g.gradient.count == g.value.count for g in made)
    assert {c.strip for c in d.depth} >= {"D on real", "D on fake", "G makes fakes (2)"}


def test_rules_name_their_gates():
    _, d, _ = played()
    by_name = {g.name: g for g in d.gates}
    ruled = [g for g in d.gates if g.of]
    assert len(ruled) > 20
    for g in ruled:
        of = by_name[g.of]
        assert (of.phase, of.module) == (g.phase, g.module)
    tanh = next(
        g for g in d.gates if g.kind == "Tanh" and g.phase == "G makes fakes" and g.gradient
    )
    assert tanh.backward_s > 0
    assert {g.kind for g in d.gates if g.of == tanh.name} <= {
        "Multiply",
        "ReverseSubtract",
        "Subtract",
    }


def test_the_gradient_of_the_tanh_is_right():
    """Through a tanh, dx = dz (1 - z^2): the numbers on two wires of the step agree."""
    step, d, _ = played()
    batch = torch.randn(4, 2)
    _, w = step.watch({"real": batch}, 0, 1)
    checked = 0
    for g in d.gates:
        if g.kind == "Tanh" and g.name in w.gradient and g.inputs[0] in w.gradient:
            z, dz = w.value[g.name], w.gradient[g.name]
            torch.testing.assert_close(w.gradient[g.inputs[0]], dz * (1 - z * z))
            checked += 1
    assert checked >= 3


def test_measuring_leaves_the_state():
    _, d, kept = played()
    assert kept and d.timed


def test_it_shows_itself(tmp_path):
    step, d, _ = played()
    assert "D update" in str(step) and "G average" in page(d)
    assert step.html(tmp_path / "step.html").stat().st_size > 50_000
    with pytest.raises(Exception, match="expected at most 150 gates"):
        step.svg(tmp_path / "step.svg")
