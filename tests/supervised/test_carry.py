"""Truncated backpropagation through time: the carried state, against the plain PyTorch loop."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import backlit as bl
from backlit.errors import BacklitError, CaptureError, DataError, RecipeError
from backlit.nets import CharacterModel
from backlit.supervised import Lanes, Supervised

LANES, LENGTH, VOCABULARY = 3, 4, 6
LOSS = {"name": "cross_entropy", "class_dim": -1}


def tokens(n=50):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(VOCABULARY, (n,), generator=generator)


def model(kind="lstm", layers=1):
    torch.manual_seed(0)
    return CharacterModel(VOCABULARY, 3, 5, kind, layers).double()


def learner(net, **options):
    return Supervised(
        net,
        LOSS,
        optimiser=bl.Optimiser("Adam", lr=0.01),
        carry=net.initial_state(LANES),
        **options,
    )


def params(it):
    return {name: tensor.detach().clone() for name, tensor in it.state.items()}


def compare(kind, layers, mode, tolerance, clip=None):
    """Nine steps, four to the epoch, so that two restarts lie within."""
    theirs, mine = model(kind, layers), model(kind, layers)
    data = Lanes("noise", tokens(), LENGTH)
    assert data.chunks(LANES) == 4
    it = learner(mine, clip_norm=clip)
    assert it.prepare(data.at(0, LANES), mode) == mode
    optimiser = torch.optim.Adam(theirs.parameters(), lr=0.01)
    x, y = bl.data.lanes(tokens(), LANES, LENGTH)
    for index in range(9):
        if index % 4 == 0:
            state = theirs.initial_state(LANES)
        metrics = it.step(data.at(index, LANES), index)
        scores, state = theirs.step(x[index % 4], tuple(t.detach() for t in state))
        loss = F.cross_entropy(scores.flatten(0, 1), y[index % 4].flatten())
        optimiser.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        optimiser.step()
        assert abs(float(metrics["loss"]) - loss.item()) <= tolerance
        for name, expected in zip("hc", state, strict=False):
            found = it.state[f"carry/{name}"]
            torch.testing.assert_close(found, expected.detach(), rtol=0, atol=tolerance)
    for name, expected in theirs.state_dict().items():
        found = it.state[f"network/{name}"].detach()
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    return it


@pytest.mark.parametrize(
    ("kind", "layers", "clip"), [("lstm", 1, 0.1), ("lstm", 2, None), ("gru", 1, None)]
)
def test_equals_the_plain_loop(kind, layers, clip):
    """Mission E3: the state is kept inside a sequence and zero at its beginning."""
    compare(kind, layers, "plain", 1e-10, clip)


def test_watched_equals_the_plain_loop():
    compare("rnn", 1, "watched", 1e-10)


@pytest.mark.slow
def test_compiled_equals_the_plain_loop():
    compare("lstm", 1, "compiled", 1e-10)


def test_the_carry_matters_and_no_gradient_goes_back_through_it():
    data = Lanes("noise", tokens(), LENGTH)
    it = learner(model())
    it.step(data.at(0, LANES), 0)
    kept, fresh = data.at(1, LANES), data.at(1, LANES) | {"restart": torch.tensor([True] * LANES)}
    before = params(it)
    losses = []
    for batch in (kept, fresh):
        it.load(before)
        losses.append(float(it.step(batch, 1)["loss"]))
    assert losses[0] != losses[1]
    assert "h" in str([wire.name for wire in next(iter(it.steps.values())).inputs])


def test_each_lane_restarts_alone():
    """A lane that restarts is as at the very beginning; the others go on."""
    data = Lanes("noise", tokens(), LENGTH)
    it = learner(model())
    it.rates["lr"].zero_()  # the same network at every step
    it.step(data.at(0, LANES), 0)
    once = it.state["carry/h"].clone()
    it.step(data.at(0, LANES) | {"restart": torch.tensor([True, False, True])}, 1)
    assert torch.equal(it.state["carry/h"][:, [0, 2]], once[:, [0, 2]])
    assert not torch.equal(it.state["carry/h"][:, 1], once[:, 1])


def test_a_state_taken_up_goes_on_bit_for_bit():
    data = Lanes("noise", tokens(), LENGTH)
    left, right = learner(model()), learner(model())
    for index in range(3):
        left.step(data.at(index, LANES), index)
    right.load(params(left))
    assert {"carry/h", "carry/c"} <= left.state.keys()
    for index in range(3, 6):
        left.step(data.at(index, LANES), index)
        right.step(data.at(index, LANES), index)
    for name, value in left.state.items():
        assert torch.equal(value, right.state[name]), name


def test_answers_are_of_independent_sequences():
    """Evaluation begins each sample at zero, and whole lanes equal chunks carried on."""
    data = Lanes("noise", tokens(), LENGTH)
    it = learner(model())
    before = it.evaluate(*(torch.cat([data.at(k, LANES)[n] for k in range(4)], 1) for n in "xy"))
    it.rates["lr"].zero_()
    losses = [float(it.step(data.at(k, LANES), k)["loss"]) for k in range(4)]
    assert before["loss"] == pytest.approx(sum(losses) / 4, abs=1e-12)
    whole = it.predict(data.at(0, LANES)["x"], batch=2)
    torch.testing.assert_close(whole, it.network(data.at(0, LANES)["x"]).detach())


def test_lanes_are_a_function_of_the_step():
    data = Lanes("noise", tokens(), LENGTH)
    x, y = bl.data.lanes(tokens(), LANES, LENGTH)
    for k in range(4):
        assert torch.equal(data.at(k, LANES)["x"], x[k]) and torch.equal(
            data.at(k, LANES)["y"], y[k]
        )
    assert len(data) == 12 and data.chunks(12) == 1
    assert [bool(data.at(k, LANES)["restart"].any()) for k in range(9)] == [
        k % 4 == 0 for k in range(9)
    ]
    assert torch.equal(data.at(1, LANES)["x"], data.at(5, LANES)["x"])
    lane = torch.cat([data.at(k, LANES)["x"][1] for k in range(4)])
    assert torch.equal(lane, tokens()[16:32])
    assert data.key != Lanes("noise", tokens(), LENGTH - 1).key


class Bare(nn.Module):
    def forward(self, x, h):
        return x


@pytest.mark.parametrize(
    ("error", "text", "act"),
    [
        (
            DataError,
            "a: expected a length of at least 1 and more tokens than it, got length 5, 5 tokens",
            lambda: Lanes("a", tokens(5), 5),
        ),
        (
            RecipeError,
            "carry: expected tensors (L, N, ...), at most the 1 that Bare.forward takes after x, "
            "got [(1, 2), (1, 2)]",
            lambda: Supervised(Bare(), carry=[torch.zeros(1, 2)] * 2),
        ),
        (
            BacklitError,
            "batch: expected restart, bool of the [3] lanes of carry, got no restart; "
            "backlit.supervised.Lanes makes such batches",
            lambda: learner(model()).step((tokens(12).view(3, 4), tokens(12).view(3, 4)), 0),
        ),
        (
            CaptureError,
            "expected a network that returns the scores and 1 to carry on, Bare returns 1",
            lambda: Supervised(Bare(), carry=[torch.zeros(1, 3)]).step(
                {"x": torch.zeros(3, 2), "y": torch.zeros(3).long(), "restart": torch.ones(3) > 0},
                0,
            ),
        ),
    ],
)
def test_what_is_refused(error, text, act):
    with pytest.raises(error) as found:
        act()
    assert str(found.value) == text
