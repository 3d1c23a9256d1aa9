"""What `Supervised` promises beside the numbers of its step."""

import pytest
import torch
from torch import nn

import backlit as bl
from backlit.errors import BacklitError, DataError, RecipeError
from backlit.losses import ArcFace
from backlit.nets import MLP, SequenceClassifier
from backlit.supervised import Samples, Supervised


def blobs(n=60, features=6, classes=3):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % classes
    x = torch.randn(n, features, generator=generator) + 2.0 * y[:, None]
    return Samples("blobs", x, y, tuple("abc"[:classes]))


def mlp(**options):
    torch.manual_seed(0)
    return MLP(6, 3, (8,), **options)


def test_learns_and_evaluates():
    data = blobs()
    it = Supervised(mlp(), optimiser=bl.Optimiser("Adam", lr=0.05))
    batch = data.batch(range(60))
    before = it.evaluate(data.x, data.y)
    for i in range(40):
        metrics = it.step(batch, i)
    after = it.evaluate(data.x, data.y, batch=7)
    assert after["accuracy"] > 0.9 and after["loss"] < before["loss"]
    assert abs(after["accuracy"] - float(metrics["accuracy"])) < 0.1
    scores = it.scores(data.x, data.y, data.classes)
    assert scores.accuracy == after["accuracy"]


def test_dropout_is_a_function_of_seed_and_step():
    data = blobs()
    found = []
    for seed in (1, 1, 2):
        it = Supervised(mlp(dropout=0.5), seed=seed)
        found.append([float(it.step(data.batch(range(8)), i)["loss"]) for i in range(3)])
    assert found[0] == found[1] != found[2]
    it.network.train()
    scores = it.predict(data.x)
    assert torch.equal(scores, it.predict(data.x)) and it.network.training


def test_a_loss_with_weights_of_its_own_is_trained():
    torch.manual_seed(0)
    loss = ArcFace(3, 4)
    before = loss.weight.detach().clone()
    it = Supervised(MLP(6, 4, (8,)), loss)
    metrics = it.step(blobs().batch(range(12)), 0)
    assert "optimiser/loss/weight/exp_avg" in it.state
    assert not torch.equal(before, loss.weight) and "accuracy" in metrics


def test_binary_and_regression():
    x = torch.randn(10, 6)
    yes = (x[:, 0] > 0).float()
    it = Supervised(nn.Linear(6, 1), "binary_cross_entropy")
    metrics = it.step((x, yes), 0)
    want = ((it.predict(x)[:, 0] > 0) == yes.bool()).double().mean()
    assert it.evaluate(x, yes)["accuracy"] == float(want) and "accuracy" in metrics
    it = Supervised(nn.Linear(6, 1), "l2")
    assert list(it.step((x, yes[:, None]), 0)) == ["loss"]


def test_further_inputs_by_name():
    data = Samples(
        "words",
        torch.randint(5, (6, 7)),
        torch.arange(6) % 2,
        inputs={"lengths": torch.tensor([7, 3, 1, 4, 7, 2])},
    )
    it = Supervised(SequenceClassifier(3, 2, 4, vocabulary=5))
    it.prepare(data.batch(range(6)))
    assert it.step(data.batch(range(6)), 0)["loss"] > 0
    assert it.evaluate(data.x, data.y, 4, lengths=data.inputs["lengths"])["loss"] > 0


def test_bytes_are_scaled():
    x = torch.randint(0, 256, (8, 6), dtype=torch.uint8)
    y = torch.arange(8) % 3
    mine, other = Supervised(mlp()), Supervised(mlp())
    left = mine.step((x, y), 0)["loss"]
    right = other.step((x.float() / 127.5 - 1, y), 0)["loss"]
    assert float(left) == float(right)
    assert mine.evaluate(x, y) == other.evaluate(x.float() / 127.5 - 1, y)


def test_its_gradients_pass_the_numerical_check():
    report = bl.check(Supervised(mlp(activation="tanh")), blobs().batch(range(8)))
    assert report.passed, str(report)


def test_first_nonfinite_names_the_gate():
    it = Supervised(mlp())
    batch = blobs().batch(range(8))
    before = {name: t.detach().clone() for name, t in it.state.items()}
    before["network/layers.0.weight"][0, 0] = float("inf")
    it.prepare(batch)
    assert "layers.0" in it.first_nonfinite(batch, 0, before)


def test_pruned_weights_stay_zero():
    it = Supervised(mlp(), prunable=True)
    batch = blobs().batch(range(12))
    small = it.state["network/layers.0.weight"].detach().abs().min()
    assert it.prune(0.5) == 0.5
    first, last = it.network.layers[0].weight, it.network.layers[2].weight
    zero = first == 0
    assert first.abs()[~zero].min() > small and zero.any()
    for i in range(5):
        it.step(batch, i)
    assert torch.equal(first == 0, zero)
    assert int((first == 0).sum() + (last == 0).sum()) == 36  # half of 48 + 24
    assert it.prune(0.75) == 0.75 and bool((first == 0)[zero].all())
    with pytest.raises(RecipeError, match=r"prunable=True"):
        Supervised(mlp()).prune(0.5)
    with pytest.raises(RecipeError, match=r"share in \[0, 1\), got 1"):
        it.prune(1)


def test_errors_say_what_was_expected():
    data = blobs()
    it = Supervised(mlp())
    it.prepare(data.batch(range(8)))
    for call, text in [
        (lambda: Supervised("mlp"), "expected a torch.nn.Module, got str"),
        (lambda: Supervised(mlp(), 3), "expected a loss's name or a torch.nn.Module, got int"),
        (lambda: Supervised(mlp(), "cross_entropi"), "did you mean 'cross_entropy'"),
        (lambda: Supervised(mlp(), l1=-1), "l1 and l2 of at least 0, got -1, 0.0"),
        (lambda: Supervised(mlp(), clip_norm=0), "positive norm or None, got 0"),
        (lambda: it.step(data.batch(range(9)), 0), r"x \(8, 6\).*got x \(9, 6\).*call prepare"),
        (lambda: it.step(data.x, 0), r"expected \(x, y\) or a table with x and y, got Tensor"),
        (lambda: it.step((data.x, data.y[:3]), 0), "got x 60, y 3"),
        (lambda: it.load({}), "is missing"),
        (lambda: it.evaluate(data.x, data.y[:3]), "as many x as y and at least 1, got 60, 3"),
        (lambda: Samples("s", data.x, data.y[:3]), "s: expected the same number"),
        (lambda: Samples("s", data.x, data.y, ("a",)), "class numbers 0..0 for 1 classes"),
        (lambda: data.split(1.0), r"fraction in \(0, 1\) and at least 2 samples, got 1.0, 60"),
    ]:
        with pytest.raises(BacklitError, match=text):
            call()


def test_split_is_a_function_of_the_seed():
    data = blobs()
    left, right = data.split(0.2, seed=1)
    assert (len(left), len(right)) == (48, 12)
    assert torch.equal(data.split(0.2, seed=1)[1].x, right.x)
    assert data.split(0.2, seed=1)[1].key == right.key != data.split(0.2, seed=2)[1].key
    rows = {tuple(row) for row in torch.cat([left.x, right.x]).tolist()}
    assert len(rows) == 60
    with pytest.raises(DataError):
        data.subset([0]).split()


def test_prelu_keeps_its_learned_slope_in_plain_mode() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.PReLU(4), torch.nn.Linear(4, 2))
    batch = (torch.randn(5, 3), torch.tensor([0, 1, 0, 1, 1]))
    learner = Supervised(net)
    assert learner.prepare(batch, "plain") == "plain"
    before = net[1].weight.detach().clone()
    assert torch.isfinite(learner.step(batch, 0)["loss"])
    assert not torch.equal(net[1].weight, before)
