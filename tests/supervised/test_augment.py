"""Augmentations in the step: against plain formulas, and the same for the same (seed, step)."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlit.errors import BacklitError, RecipeError
from backlit.supervised import AUGMENTATIONS, Colour, Cutout, Flip, Mixup, ShiftedCrop, Supervised
from backlit.supervised.augment import Augment, augmentations

N, C, H, W = 6, 2, 7, 5
ONES = {
    "colour": Colour(0.3, 0.5),
    "cutout": Cutout(3, fill=9.0),
    "flip": Flip(),
    "mixup": Mixup(0.4),
    "shifted_crop": ShiftedCrop(2),
}


def pictures():
    return torch.randn(
        (N, C, H, W), dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )


def colour(x, i, d):
    mean = x[i].mean()
    c = 1 + 0.5 * (2 * d["contrast"][i] - 1)
    return (x[i] - mean) * c + mean + 0.3 * (2 * d["brightness"][i] - 1)


def cutout(x, i, d):
    out, row, column = x[i].clone(), int(d["row"][i]), int(d["column"][i])
    out[:, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = 9.0
    return out


def flip(x, i, d):
    return torch.from_numpy(x[i].numpy()[..., ::-1].copy()) if d["flip"][i] < 0.5 else x[i]


def mixup(x, i, d):
    return d["lambda"] * x[i] + (1 - d["lambda"]) * x[d["partner"][i]]


def shifted_crop(x, i, d):
    wide = np.pad(x[i].numpy(), ((0, 0), (2, 2), (2, 2)), constant_values=-1)
    down, right = int(d["down"][i]), int(d["right"][i])
    return torch.from_numpy(wide[:, down : down + H, right : right + W])


PLAIN = dict(colour=colour, cutout=cutout, flip=flip, mixup=mixup, shifted_crop=shifted_crop)


def step_with(one, seed=3):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(C * H * W, 3)).double()
    it = Supervised(net, augment=[one], seed=seed, optimiser="SGD")
    it.prepare((pictures(), torch.arange(N) % 3))
    return it


def test_every_augmentation_is_tested():
    assert set(AUGMENTATIONS) == set(ONES) == set(PLAIN)


@pytest.mark.parametrize("name", ONES)
def test_the_step_equals_the_plain_formula(name):
    x, y = pictures(), torch.arange(N) % 3
    it = step_with(ONES[name])
    (step,) = it.steps.values()
    changed = 0
    for index in range(4):
        drawn = {k.removeprefix("augment0/"): v for k, v in step.draw(3, index).items()}
        want = torch.stack([PLAIN[name](x, i, drawn) for i in range(N)])
        changed += not torch.equal(want, x)
        scores = it.network(want).detach()
        loss = F.cross_entropy(scores, y)
        if name == "mixup":
            hot = F.one_hot(y, 3).double()
            mixed = drawn["lambda"] * hot + (1 - drawn["lambda"]) * hot[drawn["partner"]]
            loss = F.cross_entropy(scores, mixed)
        found = it.step((x, y), index)["loss"]
        assert float(found) == pytest.approx(float(loss), abs=1e-12)
    assert changed


@pytest.mark.parametrize("name", ONES)
def test_a_function_of_seed_and_step(name):
    x, y = pictures(), torch.arange(N) % 3
    same = [float(step_with(ONES[name]).step((x, y), 5)["loss"]) for _ in range(2)]
    other = float(step_with(ONES[name]).step((x, y), 6)["loss"])
    seeded = float(step_with(ONES[name], seed=4).step((x, y), 5)["loss"])
    assert same[0] == same[1] and len({same[0], other, seeded}) == 3


def test_one_after_the_other_in_order():
    x = pictures()
    chain = augmentations(["flip", {"name": "cutout", "size": 3}])
    both = Augment(chain, x)
    drawn = {n: noise.draw(torch.Generator().manual_seed(1)) for n, noise in both.noise.items()}
    parts = [{k[9:]: v for k, v in drawn.items() if k.startswith(f"augment{i}")} for i in (0, 1)]
    assert torch.equal(both(x, drawn), chain[1](chain[0](x, parts[0]), parts[1]))


def test_beta_has_its_mean_and_variance():
    noise = Mixup(0.4).noise(pictures())["lambda"]
    drawn = torch.stack([noise.draw(torch.Generator().manual_seed(i)) for i in range(2000)])
    assert abs(float(drawn.mean()) - 0.5) < 0.03
    assert abs(float(drawn.var()) - 1 / (4 * (2 * 0.4 + 1))) < 0.01


def test_errors_say_what_was_expected():
    with pytest.raises(RecipeError, match="did you mean 'flip'"):
        augmentations(["flipp"])
    with pytest.raises(RecipeError, match="expected mixup last"):
        augmentations(["mixup", "flip"])
    with pytest.raises(RecipeError, match="flip: expected p of 0 to 1, got 2"):
        augmentations([{"name": "flip", "p": 2.0}])
    with pytest.raises(BacklitError, match=r"pictures \(N, C, H, W\) in floating point, got"):
        Augment([Flip()], torch.zeros(3, 4))
