"""The precision of a step: asked for, or chosen by machine and work."""

import pytest
import torch
from torch import nn

from backlit.errors import RecipeError
from backlit.gan import Game
from backlit.step import precision as module
from backlit.supervised import Supervised


@pytest.fixture(params=[True, False])
def fast(request, monkeypatch):
    monkeypatch.setattr(module, "fast_bfloat16", lambda device: request.param)
    return request.param


def large():
    return Supervised(nn.Sequential(nn.Linear(512, 1024), nn.ReLU(), nn.Linear(1024, 10)))


BATCH = torch.randn(128, 512), torch.randint(0, 10, (128,))


def test_auto_is_bfloat16_for_large_work_where_it_is_fast(fast):
    learner = large()
    learner.prepare(BATCH, "plain", precision="auto")
    assert learner.chosen["precision"] == ("bfloat16" if fast else "float32")
    assert next(iter(learner.steps.values())).precision == learner.chosen["precision"]


def test_auto_stays_float32_for_small_work_and_where_watched(fast):
    small = Supervised(nn.Linear(512, 10))
    small.prepare(BATCH, "plain", precision="auto")
    watched = large()
    watched.prepare(BATCH, "watched", precision="auto")
    assert small.chosen["precision"] == watched.chosen["precision"] == "float32"


def test_auto_keeps_the_networks_own(fast):
    double = Supervised(large().network.double())
    double.prepare((BATCH[0].double(), BATCH[1]), "plain", precision="auto")
    assert double.chosen["precision"] == "float64"
    game = Game(nn.Linear(2, 2), nn.Linear(2, 1), latent=2, precision="bfloat16")
    game.prepare(torch.randn(4, 2), "plain", precision="auto")
    assert game.chosen["precision"] == "bfloat16"
    game.prepare(torch.randn(4, 2), "plain", precision="float32")
    assert game.chosen["precision"] == "float32" and game.precision == "bfloat16"


def test_a_precision_that_is_not_the_networks_is_refused():
    with pytest.raises(
        RecipeError,
        match=r"precision 'float64': expected torch.float64 networks, got torch.float32 for "
        r"network.0.weight; convert it with .to\(torch.float64\)",
    ):
        large().prepare(BATCH, "plain", precision="float64")
    with pytest.raises(RecipeError, match=r"precision: expected one of float32, .* got 'half'"):
        large().prepare(BATCH, "plain", precision="half")
