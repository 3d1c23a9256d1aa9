"""The picture tasks end to end, tiny: scores of their own and a result picture each."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backlit.errors import RunError
from backlit.nets import network
from backlit.supervised import Supervised
from backlit.train import Features, compare_runs, feature_picture, follow, load_recipe
from backlit.train.feature_picture import flat

TINY = ["train.steps=4", "fit.validate_every=2", "train.batch=4", "train.mode=plain"]


def run(recipe: str, folder: Path, *settings: str) -> dict:
    done = follow(load_recipe(recipe, [*TINY, *settings]), folder, progress=False)
    assert (done.folder / "result.png").stat().st_size > 1000
    return json.loads((done.folder / "scores.json").read_text())


def test_boxes(tmp_path: Path) -> None:
    small = ("data.n=20", "data.size=16", "network.width=2")
    scores = run("boxes", tmp_path, *small)
    assert 0 <= scores["test"]["mean_iou"] <= 1
    assert {"average_precision", "precision", "recall", "loss"} <= scores["test"].keys()


LOSSES = [("loss.margin=0.3",), ("loss=feature_softmax", "loss.center=0.1")]


@pytest.mark.parametrize("chosen", LOSSES)
def test_avatars(chosen: tuple[str, ...], tmp_path: Path) -> None:
    # One picture of each person in the test part: no pair to verify, and no error.
    small = ("data.people=3", "data.views=5", "data.size=8", "data.strangers=2")
    scores = run("avatars", tmp_path, *small, "network.width=2", *chosen)
    assert "verification" not in scores["test"]
    assert 0 <= scores["test"]["verification_of_strangers"] <= 1
    assert 0 <= scores["test"]["accuracy"] <= 1


def test_logistic(tmp_path: Path) -> None:
    scores = run("logistic", tmp_path, "data.size=4")
    assert scores["test"]["accuracy"] >= 0


def test_compare(tmp_path: Path) -> None:
    small = ("data.people=2", "data.views=10", "data.size=8", "fit.validate_every=1")
    run("overfit", tmp_path / "plain", *small)
    run("overfit-cured", tmp_path / "cured", *small, "augment=[]")
    found = compare_runs([tmp_path / "plain", tmp_path / "cured"], tmp_path / "both.png")
    assert list(found) == ["plain", "cured"] and found["plain"].text
    with Image.open(tmp_path / "both.png") as picture:
        assert picture.size == (720, 600)
    with pytest.raises(RunError, match="expected run folders of different names, got "):
        compare_runs([tmp_path / "plain", tmp_path / "plain"], tmp_path / "both.png")


def test_features_in_two_dimensions() -> None:
    torch.manual_seed(0)
    plane = torch.linalg.qr(torch.randn(5, 2)).Q  # (F, 2)
    points = torch.randn(20, 2)
    shown = Features(points @ plane.T, torch.zeros(20, dtype=torch.int64), plane.T)
    drawn, directions, centres = flat(shown)
    # A rotation: lengths and distances stay.
    torch.testing.assert_close(torch.cdist(drawn, drawn), torch.cdist(points, points))
    assert directions is not None and centres is None
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(2))
    same = Features(points, shown.classes)
    assert flat(same)[0] is points


def test_the_picture_shows_each_class_in_its_colour() -> None:
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    picture = feature_picture({"a": Features(points, torch.tensor([0, 1]))}, ["one", "two"])
    pixels = np.asarray(picture)[26:366].astype(int)  # the panel, below its title
    blue = np.argwhere(np.abs(pixels - (31, 119, 180)).sum(-1) < 30).mean(0)
    red = np.argwhere(np.abs(pixels - (214, 39, 40)).sum(-1) < 30).mean(0)
    assert blue[1] > red[1] and blue[0] > red[0]  # right of it, and below


@pytest.mark.slow
def test_one_real_step_of_alexnet() -> None:
    torch.manual_seed(0)
    learner = Supervised(network("alexnet_2012", classes=2, dropout=0.0), seed=0)
    x, y = torch.randn(2, 3, 224, 224), torch.tensor([0, 1])
    assert learner.prepare((x, y), "plain") == "plain"
    before = {name: t.detach().clone() for name, t in learner.state.items() if "features" in name}
    loss = float(learner.step((x, y), 0)["loss"])
    assert 0.3 < loss < 2
    changed = [n for n, t in before.items() if not torch.equal(t, learner.state[n].detach())]
    assert len(changed) == len(before)
