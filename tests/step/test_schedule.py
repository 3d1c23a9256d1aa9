"""Schedules against torch.optim.lr_scheduler."""

import pytest
import torch
from torch.optim import lr_scheduler as theirs

from backlit.errors import RecipeError
from backlit.step import Cosine, WarmUp, schedule


def rates(make, steps, losses=None):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    plan = make(opt)
    found = []
    for i in range(steps):
        found.append(opt.param_groups[0]["lr"])
        opt.step()
        plan.step() if losses is None else plan.step(losses[i])
    return found


@pytest.mark.parametrize(
    ("mine", "make"),
    [
        ({"name": "step", "every": 7, "gamma": 0.3}, lambda o: theirs.StepLR(o, 7, 0.3)),
        ({"name": "exponential", "gamma": 0.97}, lambda o: theirs.ExponentialLR(o, 0.97)),
        ({"name": "cosine", "floor": 0.1}, lambda o: theirs.CosineAnnealingLR(o, 30, 0.1)),
        ({"name": "warmup", "warmup": 9}, lambda o: theirs.LinearLR(o, 0.1, 1.0, 9)),
        ("constant", lambda o: theirs.ConstantLR(o, 1.0)),
    ],
)
def test_equals_torch(mine, make):
    plan = schedule(mine)
    assert [plan.factor(i, 30) for i in range(30)] == pytest.approx(rates(make, 30), abs=1e-12)


def test_plateau_equals_torch():
    losses = [5.0, 4.0, 4.1, 4.2, 3.99999, 4.3, 4.4, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7]
    plan = schedule({"name": "plateau", "gamma": 0.5, "patience": 2})
    mine = [plan.factor(i, 99, losses[:i]) for i in range(len(losses))]
    want = rates(lambda o: theirs.ReduceLROnPlateau(o, factor=0.5, patience=2), 15, losses)
    assert mine == want
    assert len(set(want)) >= 3  # or nothing was tried


def test_warm_up_then_cosine():
    plan = Cosine(warmup=4)
    found = [plan.factor(i, 20) for i in range(20)]
    assert found[:5] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert found[5:] == sorted(found[5:], reverse=True)
    assert WarmUp(4).factor(100, 20) == 1.0


def test_unknown_schedule():
    with pytest.raises(RecipeError, match=r"unknown schedule 'cosin' .did you mean 'cosine'"):
        schedule("cosin")
