"""Supervised training in a run folder: validation, early stopping, schedules, pruning, results."""

import json

import pytest
import torch
from PIL import Image

import backlit as bl
from backlit.errors import RecipeError
from backlit.nets import MLP
from backlit.supervised import Samples, Supervised
from backlit.train import Checkpoints, Run, train
from backlit.train.curves import thinned, write_curves
from backlit.train.overfitting import overfitting


def noisy(n=48, seed=0, name="noisy"):
    """Few samples in many dimensions with labels half at random: they are soon overfitted."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 10, generator=generator)
    y = (x[:, 0] + 1.5 * torch.randn(n, generator=generator) > 0).long()
    return Samples(name, x, y, ("no", "yes"))


def learner(lr=0.02, **options):
    torch.manual_seed(0)
    return Supervised(MLP(10, 2, (32,)), optimiser=bl.Optimiser("Adam", lr=lr), **options)


def fit(folder, it=None, steps=60, **options) -> tuple[Supervised, Run]:
    it = it or learner()
    settings = dict(batch=16, validate_every=5, save_every=20, mode="plain", progress=False)
    settings |= dict(validation=noisy(seed=1, name="held out"), threads=1) | options
    return it, train(it, noisy(), steps=steps, run=folder, **settings)


def params(it):
    return {n: t.detach().clone() for n, t in it.state.items()}


def test_early_stopping_gives_back_exactly_the_best_parameters(tmp_path):
    seen = {}

    it = learner()
    evaluate, held = it.evaluate, noisy(seed=1, name="held out")

    def watched(x, y, *rest, **inputs):
        found = evaluate(x, y, *rest, **inputs)
        seen.setdefault(found["loss"], params(it))
        return found

    it.evaluate = watched
    _, run = fit(tmp_path / "run", it, steps=200, patience=4)
    steps, losses = run.metric("val_loss")
    best = losses.index(min(losses))
    assert run.step == steps[best] + 4 * 5 < 200  # stopped after four in vain
    assert run.best_step == steps[best]
    for name, tensor in it.state.items():
        assert torch.equal(tensor, seen[min(losses)][name]), name
    assert Checkpoints(run.folder / "checkpoints").best() == run.best_step
    assert it.evaluate(held.x, held.y)["loss"] == min(losses)
    # A finished run, opened again, gives them back too.
    again, second = fit(tmp_path / "run", steps=200, patience=4)
    assert second.step == run.step
    for name, tensor in again.state.items():
        assert torch.equal(tensor, it.state[name]), name


def test_resumed_equals_uninterrupted(tmp_path):
    """Stopped by patience, then let go on: as if patience had been longer from the start."""
    options = dict(schedule={"name": "plateau", "patience": 1, "gamma": 0.5})
    whole, left = fit(tmp_path / "whole", steps=60, **options)
    fit(tmp_path / "parts", steps=20, **options)
    parts, right = fit(tmp_path / "parts", steps=60, **options)
    assert left.metric("loss") == right.metric("loss")
    assert left.metric("val_loss") == right.metric("val_loss")
    for name, tensor in whole.state.items():
        assert torch.equal(tensor, parts.state[name]), name
    assert (left.folder / "scores.json").read_bytes() == (right.folder / "scores.json").read_bytes()
    assert left.picture.read_bytes() == right.picture.read_bytes()


def test_schedules_set_the_rate(tmp_path):
    it = learner()
    rates, step = [], it.step
    it.step = lambda batch, index: (rates.append(float(it.rates["lr"])), step(batch, index))[1]
    fit(tmp_path / "run", it, steps=10, schedule={"name": "step", "every": 4, "gamma": 0.5})
    assert rates == [0.02] * 4 + [0.01] * 4 + [0.005] * 2
    assert float(it.rates["lr"]) == 0.02  # as it was before
    with pytest.raises(bl.BacklitError, match=r"over 10' there.*over 20' asked for"):
        fit(tmp_path / "cosine", steps=10, schedule="cosine")
        fit(tmp_path / "cosine", steps=20, schedule="cosine")


def test_scores_stand_with_their_protocol(tmp_path):
    test = noisy(seed=2, name="test part")
    it, run = fit(tmp_path / "run", test=test, monitor="val_accuracy")
    scores = json.loads((run.folder / "scores.json").read_text())
    assert scores["protocol"]["parameters"] == "best val_accuracy"
    assert scores["protocol"]["step"] == run.best_step
    assert scores["test"]["key"] == test.key and scores["test"]["samples"] == 48
    assert scores["test"]["accuracy"] == it.evaluate(test.x, test.y)["accuracy"]
    assert set(scores["test"]["classes"]) == {"no", "yes"}
    assert max(run.metric("val_accuracy")[1]) == scores["validation"]["accuracy"]
    assert Image.open(run.picture).size == (720, 600)


def test_batch_and_stochastic_gradient_descent(tmp_path):
    for batch in (1, 48):
        _, run = fit(tmp_path / str(batch), steps=5, batch=batch)
        assert len(run.metric("loss")[0]) == 5
    _, run = fit(tmp_path / "plain", steps=5, validation=None)
    assert run.best_step is None and run.picture.exists()


def test_pruning_reaches_its_share_and_only_later_steps_count(tmp_path):
    it, run = fit(
        tmp_path / "run", learner(prunable=True), prune=0.8, prune_from=10, prune_to=30, steps=50
    )
    weights = [t for n, t in it.state.items() if n.endswith("weight") and n.startswith("network")]
    assert sum(int((w == 0).sum()) for w in weights) == round(0.8 * (320 + 64))
    assert run.best_step > 30


def test_overfitting_is_said(tmp_path, capsys):
    _, run = fit(tmp_path / "run", steps=150)
    said = capsys.readouterr().out
    assert "overfits from step" in said and "gap" in said
    assert run.best_step < 150


def test_verdicts():
    train_ = [(i, 1.0 / i) for i in range(1, 31)]
    assert overfitting(train_, [(10, 0.5), (20, 0.4), (30, 0.6)]).verdict == "overfits"
    found = overfitting(train_, [(10, 0.5), (20, 0.4), (30, 0.6)])
    assert found.best_step == 20 and "+50%" in found.text
    assert found.gap == pytest.approx(0.6 - sum(1 / i for i in range(21, 31)) / 10)
    assert overfitting(train_, [(10, 0.5), (20, 0.4), (30, 0.39)]).verdict == "gap"
    assert overfitting(train_, [(10, 0.1), (20, 0.06), (30, 0.05)]).verdict == "none"
    assert overfitting(train_, [(10, 0.1)]).verdict == "unknown"


def test_curves_are_drawn(tmp_path):
    path = tmp_path / "c.png"
    long = [(i, 1 / i) for i in range(1, 5000)]
    assert len(thinned(long)) <= 360 and thinned(long)[-1][0] == 4999
    panels = {"loss": {"training": long, "validation": [(5, float("nan")), (9, 0.5)]}, "none": {}}
    write_curves(path, panels, mark=9)
    picture = Image.open(path).convert("RGB")
    assert picture.size == (720, 600)
    colours = {colour for _, colour in picture.getcolors(100_000)}
    assert {(31, 119, 180), (214, 94, 20)} <= colours


def test_errors_say_what_was_expected(tmp_path):
    for options, text in [
        (dict(batch=49), "at most 48, the samples there are, got 49"),
        (dict(best="loss"), r'train.best: expected "" beside validation'),
        (dict(validation=None, patience=2), "patience needs validation samples"),
        (dict(validate_every=61), "validate_every of at most 60 steps, got 61"),
        (dict(schedule="cosin"), "did you mean 'cosine'"),
        (dict(monitor="loss"), "monitor"),
        (dict(prune=0.5), "prunable=True"),
        (dict(prune=1.0), "prune"),
    ]:
        with pytest.raises(RecipeError, match=text):
            fit(tmp_path / "run", **options)
    regression = Supervised(MLP(10, 1), "l2")
    with pytest.raises(RecipeError, match="monitor: expected one of val_loss, got 'val_accuracy'"):
        y = torch.zeros(48, 1)
        data = Samples("r", noisy().x, y)
        train(
            regression,
            data,
            steps=5,
            run=tmp_path / "r",
            batch=8,
            validation=data,
            validate_every=1,
            monitor="val_accuracy",
            mode="plain",
            progress=False,
        )


def test_a_game_takes_no_validation(tmp_path):
    from fake import FakeGame, FakePictures

    with pytest.raises(RecipeError, match="expected a Supervised for validation and pruning"):
        train(FakeGame(), FakePictures(), steps=5, run=tmp_path / "g", validation=noisy())
