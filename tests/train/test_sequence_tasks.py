"""Sequences trained by recipe: series, text by character and word, sentences; and sampling."""

import json
import math
import random
import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import backlit as bl
from backlit.cli import app
from backlit.errors import BacklitError, DataError, RecipeError
from backlit.nets import CharacterModel, SequenceClassifier
from backlit.supervised import Lanes, Samples, Supervised, sample_text
from backlit.train import build_fit, build_task, follow, load_recipe, open_step
from backlit.train.curves import write_curves

QUICK = ["train.mode=plain", "train.threads=1"]


def settings(*more: str) -> list[str]:
    return [*QUICK, *more]


@pytest.fixture
def book(tmp_path):
    """Text with a rule: "ab" and "ba" by turns, which a state must count."""
    path = tmp_path / "book.txt"
    path.write_text("abba" * 150)
    return path


@pytest.fixture
def wave(tmp_path):
    path = tmp_path / "wave.csv"
    values = [f"{i},{math.sin(i / 2):.4f}" for i in range(120)]
    path.write_text("t,height\n" + "\n".join(values))
    return path


def text_run(book, folder, *more):
    chosen = settings(
        f'data.path="{book}"',
        "data.source=text",
        "data.length=2",
        "network.kind=rnn",
        "data.sample=20",
        "data.temperature=0",
        "network.width=12",
        "train.batch=4",
        "train.steps=60",
        "optimiser.lr=0.02",
        "fit.validate_every=30",
        *more,
    )
    return follow(load_recipe("characters", chosen), folder, progress=False)


def test_a_text_is_learnt_scored_and_sampled(book, tmp_path, capsys):
    run = text_run(book, tmp_path / "run")
    scores = json.loads((run.folder / "scores.json").read_text())["test"]
    assert scores["bits_per_character"] == pytest.approx(scores["loss"] / math.log(2))
    assert scores["bits_per_character"] < 0.8
    sample = (run.folder / "samples" / "final.txt").read_text()
    assert "abbaabba" in sample and len(sample) == 21
    said = capsys.readouterr().out
    assert sample.strip() in said and "bits_per_character" in said
    for more in ([], ["--out", str(tmp_path / "out.txt")]):
        main = ["sample", str(run.folder), "--n", "12", "--temperature", "0", *more]
        assert CliRunner().invoke(app, main).exit_code == 0
    assert (tmp_path / "out.txt").read_text() == sample[:12] + "\n"
    table = CliRunner().invoke(app, ["look", str(run.folder), "--layers"])
    assert "recurrent" in table.output, table.output
    found, batch, step = open_step(run.folder, 2)  # of all lanes, whatever was asked for
    assert step == 60 and batch["x"].shape == (4, 2) and found.state["carry/h"].any()
    found.step(batch, step)


def test_a_stopped_text_run_goes_on_bit_for_bit(book, tmp_path):
    """Raised in the middle of an epoch: the carry comes from the checkpoint."""
    whole = text_run(book, tmp_path / "whole", "schedule.name=constant")
    text_run(book, tmp_path / "parted", "schedule.name=constant", "train.steps=40")
    parted = text_run(book, tmp_path / "parted", "schedule.name=constant")
    left, right = (
        bl.train.Checkpoints(run.folder / "checkpoints").load(60).state for run in (whole, parted)
    )
    assert left["carry/h"].any()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name


def test_words_have_their_own_score(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("the whale swam . the ship sank . " * 30)
    run = text_run(path, tmp_path / "run", "data.level=word", "train.steps=30")
    scores = json.loads((run.folder / "scores.json").read_text())["validation"]
    assert 0 < scores["bits_per_word"] < 3 and "accuracy" not in scores


def series_run(wave, folder, *more):
    chosen = settings(
        "data.source=series",
        f'data.path="{wave}"',
        "data.column=height",
        "data.window=4",
        "train.steps=120",
        "fit.validate_every=60",
        "train.batch=16",
        *more,
    )
    return follow(load_recipe("sunspots", chosen), folder, progress=False)


def test_a_series_is_foretold_and_compared_with_persistence(wave, tmp_path):
    run = series_run(wave, tmp_path / "run")
    scores = json.loads((run.folder / "scores.json").read_text())["test"]
    data = bl.data.series(wave, "height", 4)
    error = data.targets[data.test] - data.inputs[data.test][:, -1]
    persistence = float(error.double().square().mean().sqrt()) * data.target_std
    assert scores["persistence_rmse"] == pytest.approx(persistence, rel=1e-6)
    assert f"RMSE {persistence:.6g}" in data.facts[-1]
    assert scores["margin"] == pytest.approx(1 - scores["rmse"] / persistence, rel=1e-6)
    assert scores["margin"] > 0.3
    assert (run.folder / "result.png").read_bytes()[:4] == b"\x89PNG"


def test_sentences_of_a_file_by_recipe(tmp_path):
    path = tmp_path / "said.csv"
    rows = [f"the {n} was {how},{label}" for n in "abcdefgh" for how, label in SAID]
    path.write_text("text,label\n" + "\n".join(rows))
    chosen = settings(
        "data.source=sentences",
        f'data.path="{path}"',
        "network.kind=rnn",
        "train.steps=100",
        "train.batch=8",
    )
    run = follow(load_recipe("sentiment", chosen), tmp_path / "run", progress=False)
    scores = json.loads((run.folder / "scores.json").read_text())
    assert scores["test"]["accuracy"] > 0.9 and (run.folder / "result.png").exists()


SAID = (("good", "yes"), ("not good", "no"), ("bad", "no"), ("not bad", "yes"))


def test_training_does_not_depend_on_padding():
    """Variable lengths: the same steps, however far the sentences are filled up."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([3, 1, 2, 3])
    tokens = torch.randint(1, 9, (4, 3), generator=generator)
    ends = []
    for steps, filling in ((3, 0), (4, 8)):
        torch.manual_seed(0)
        net = SequenceClassifier(3, 2, 4, "gru", vocabulary=9).double()
        it = Supervised(net, optimiser=bl.Optimiser("SGD", lr=0.1))
        x = torch.full((4, steps), filling)
        x[:, :3] = tokens
        x = x.where(torch.arange(steps) < lengths[:, None], filling)
        y = torch.tensor([0, 1, 1, 0])
        data = Samples("said", x, y, inputs={"lengths": lengths})
        for index in range(3):
            it.step(data.batch(range(4)), index)
        assert it.evaluate(x, y, lengths=lengths)["loss"] > 0
        ends.append({name: value.detach().clone() for name, value in it.state.items()})
    for name, value in ends[0].items():
        torch.testing.assert_close(ends[1][name], value, rtol=0, atol=1e-12)


PAGE = (Path(__file__).parents[2] / "docs" / "sequences.md").read_text()


def test_the_page_names_recipes_that_exist():
    named = re.findall(r"backlit train (\S+)", PAGE)
    assert {"sunspots", "characters", "sentiment"} <= set(named) <= set(bl.train.bundled())


def test_the_page_carries_a_state(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    short = {
        "width=128": "width=4",
        "length=32": "length=2",
        "steps=3_000": 'mode="plain", steps=2',
    }
    for old, new in short.items():
        assert old in code
        code = code.replace(old, new)
    exec(code, {})
    assert (tmp_path / "runs/moby/final.png").is_file()


class Turns(torch.nn.Module):
    """Expects token 1 after 2 and 2 after 1, three times as likely as 3."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def initial_state(self, batch):
        return ()

    def step(self, tokens, state):
        scores = torch.full((1, tokens.shape[1], 4), -50.0)
        for place, token in enumerate(tokens[0].tolist()):
            scores[0, place, 0] = 50.0  # "<unk>" must never come, however likely
            scores[0, place, 2 if token == 1 else 1] = math.log(3)
            scores[0, place, 3] = 0.0
        return scores, state


def test_sampling_follows_the_model_the_seed_and_the_temperature(tmp_path):
    path = tmp_path / "abc.txt"
    path.write_text("aaabbc" * 20)
    text, net = bl.data.text(path), Turns()
    assert text.vocabulary == ("<unk>", "a", "b", "c")
    assert sample_text(net, text, 6, temperature=0, begin="b") == "ababab"
    one = sample_text(net, text, 400, seed=1)
    assert one == sample_text(net, text, 400, seed=1) != sample_text(net, text, 400, seed=2)
    share = one.count("c") / 400
    assert share == pytest.approx(0.25, abs=0.08)
    cold = sample_text(net, text, 400, temperature=0.5).count("c") / 400
    assert cold == pytest.approx(0.1, abs=0.06)  # 1 : 9
    assert net.training


@pytest.mark.parametrize("options", [{"n": 0}, {"temperature": -1.0}, {"begin": ""}])
def test_sampling_refuses(book, options):
    with pytest.raises(BacklitError) as found:
        sample_text(CharacterModel(4), bl.data.text(book), **options)
    assert "expected n of at least 1, a temperature of at least 0" in str(found.value)


def test_a_network_that_carries_no_state_is_refused(book):
    recipe = load_recipe("characters", settings("network.network=mlp"))
    table = recipe.model_dump() | {"network": {"network": "sequence_classifier", "features": 4}}
    with pytest.raises(RecipeError) as found:
        chosen = type(recipe).model_validate(table)
        build_fit(chosen, build_task(chosen))
    assert str(found.value) == (
        "network: expected one that carries a state from step to step for source 'moby-dick', "
        "such as character_model, got 'sequence_classifier'"
    )


def test_a_temperature_below_zero_is_refused():
    with pytest.raises(RecipeError, match="temperature: expected at least 0, got -1"):
        build_task(load_recipe("characters", ["data.temperature=-1.0"]))


def test_too_many_lanes_are_refused(book, tmp_path):
    with pytest.raises(RecipeError, match=r"train.batch: expected at most 239, the lanes there"):
        text_run(book, tmp_path / "run", "train.batch=240")


def test_bundled_text_and_sentences():
    text = bl.data.moby_dick()
    assert len(text.train) + len(text.validation) + len(text.test) == 298_171
    assert len(text.vocabulary) == 78
    assert "Call me Ishmael." in text.decode(text.train[:100])
    assert len(bl.data.composed_reviews()) == 2000


def test_the_grammar_writes_what_is_bundled():
    import importlib.util

    place = Path(__file__).parents[2] / "tools" / "compose_reviews.py"
    spec = importlib.util.spec_from_file_location("compose_reviews", place)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    draw = random.Random(0)
    rows = tool.OUT.read_text().splitlines()
    for row in rows[1:20]:
        text, label = tool.compose(draw)
        assert row.replace('"', "") == f"{text},{label}"


def test_lanes_need_their_length():
    with pytest.raises(DataError, match="expected a length of at least 1"):
        Lanes("a", torch.arange(9), 0)


def test_curves_may_begin_at_a_year(tmp_path):
    pictures = []
    for start in (0, 1900):
        path = tmp_path / f"{start}.png"
        write_curves(path, {"spots": {"truth": [(1900, 1.0), (2000, 2.0)]}}, start=start)
        pictures.append(path.read_bytes())
    assert pictures[0] != pictures[1]
