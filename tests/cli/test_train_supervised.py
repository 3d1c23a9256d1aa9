"""`backlit train` of supervised recipes: any data, results, going on; bad data in one line."""

import json
import tomllib

import pytest
import torch
from PIL import Image
from supervised import TINY, write_idx, write_pictures, write_table

from backlit.cli import run
from backlit.train import Checkpoints

STEPS = ["--steps", "6", *TINY]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def said(capsys, *arguments):
    capsys.readouterr()
    assert run(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys, *arguments):
    capsys.readouterr()
    assert run(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("backlit: error: ") and error.count("\n") == 1
    return error


def test_a_table_from_data_to_results(here, capsys):
    missing = ["" if i == 5 else i % 7 for i in range(60)]
    write_table(
        here / "things.csv",
        age=missing,
        colour=["red", "green", "blue"] * 20,
        same=[3] * 60,
        note=[f"note {i}" for i in range(60)],
    )
    output = said(capsys, "train", "wine", "--data", "things.csv", *STEPS, "--steps", "40")
    assert "table: column 'age': 1 missing of 60 filled with the training mean" in output
    assert "table: column 'colour': text, one-hot in 3 columns" in output
    assert "table: column 'same' left out: constant ('3') in the training rows" in output
    assert "'note' left out: text with 42 different values, more than most_words" not in output
    folder = here / "runs" / "wine-things"
    scores = json.loads((folder / "scores.json").read_text())
    assert set(scores["test"]["classes"]) == {"big", "small"}
    assert f"accuracy {scores['test']['accuracy']:.4f}" in output
    assert "results: runs/wine-things/result.png" in output
    with Image.open(folder / "result.png") as picture:
        assert picture.width > 300
    recorded = tomllib.loads((folder / "recipe.toml").read_text())
    assert recorded["data"] == {"source": "table", "path": str(here / "things.csv")}
    assert recorded["loss"]["name"] == "cross_entropy" and recorded["fit"]["validate_every"] == 2


def test_a_text_column_of_many_values_is_left_out_and_said(here, capsys):
    write_table(here / "things.csv", note=[f"note {i}" for i in range(60)])
    few = ["--set", "data.most_words=5"]
    output = said(capsys, "train", "wine", "--data", "things.csv", *STEPS, *few)
    assert "column 'note' left out: text with 42 different values, more than most_words=5" in output


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"kind": ["a", "b"] * 29 + ["a", ""]}, "line 61, column 'kind': expected a target, got"),
        ({"age": ["old" if i == 9 else i for i in range(60)]}, "line 11, column 'age': expected a"),
    ],
)
def test_cells_that_cannot_be_used(here, capsys, columns, words):
    write_table(here / "things.csv", **columns)
    assert words in refused(capsys, "train", "wine", "--data", "things.csv", *STEPS)
    assert not (here / "runs").exists()


def test_a_class_that_no_training_row_has(here, capsys):
    write_table(here / "things.csv")
    write_table(here / "later.csv", rows=10, kind=["big"] * 9 + ["huge"])
    later = ["--set", f"data.test_path={here / 'later.csv'}"]
    line = refused(capsys, "train", "wine", "--data", "things.csv", *STEPS, *later)
    assert "later.csv, line 11, column 'kind': expected a class of the training rows, got" in line


def test_a_loss_that_does_not_fit_the_target(here, capsys):
    write_table(here / "things.csv", kind=[i + 0.5 for i in range(60)])
    line = refused(capsys, "train", "wine", "--data", "things.csv", *STEPS)
    assert "loss: expected one of l1, l2, quadratic, since the target holds numbers, got" in line
    numbers = ["--set", "loss.name=quadratic"]
    output = said(capsys, "train", "wine", "--data", "things.csv", *STEPS, *numbers)
    assert "target 'kind' standardised with" in output and "result.png" in output
    write_table(here / "things.csv")
    line = refused(capsys, "train", "wine", "--data", "things.csv", *STEPS, *numbers)
    assert "loss: expected a loss of classes, such as cross_entropy" in line


def test_idx_files_and_pictures(here, capsys):
    write_idx(here / "lines")
    output = said(capsys, "train", "lenet", "--data", "lines", *STEPS)
    assert "idx: pixels of 0..1 standardised" in output
    write_pictures(here / "colours")
    output = said(capsys, "train", "lenet", "--data", "colours", *STEPS)
    assert "pictures: channels of 0..1 standardised" in output
    recorded = tomllib.loads((here / "runs/lenet-colours/recipe.toml").read_text())
    assert recorded["data"]["size"] == 28  # kept from the recipe: the new source knows it too
    line = refused(
        capsys, "train", "lenet", "--data", "colours", *STEPS, "--set", "data.size=30", "--fresh"
    )
    assert "network: lenet: size must be 28 or 32 pixels, got 30" in " ".join(line.split())


def test_damaged_idx_files(here, capsys):
    folder = write_idx(here / "lines")
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    line = refused(capsys, "train", "lenet", "--data", "lines", *STEPS)
    assert "train-images-idx3-ubyte.gz: cut short" in line
    write_idx(here / "twelve", label=12)
    line = refused(capsys, "train", "lenet", "--data", "twelve", *STEPS)
    assert "expected labels of 0..9, label 47 (counted from 0) is 12" in line
    (folder / "t10k-labels-idx1-ubyte").unlink()
    assert "expected t10k-labels-idx1-ubyte" in refused(
        capsys, "train", "lenet", "--data", "lines", *STEPS
    )


def test_missing_data(here, capsys):
    line = refused(capsys, "train", "mlp", *STEPS)
    assert "put them there with `backlit data fashion-mnist --from FILE_OR_FOLDER`" in line
    assert "found nothing at nowhere" in refused(capsys, "train", "wine", "--data", "nowhere")
    (here / "none").mkdir()
    assert "none" in refused(capsys, "train", "lenet", "--data", "none")
    write_pictures(here / "flat", each=3)
    for file in (here / "flat").glob("*/*.png"):
        file.rename(here / "flat" / f"{file.parent.name}{file.name}")
    line = refused(capsys, "train", "lenet", "--data", "flat")
    assert "expected pictures with classes" in line


def test_rows_are_no_pictures(here, capsys):
    write_table(here / "things.csv")
    line = refused(capsys, "train", "lenet", "--data", "things.csv", *STEPS)
    assert "network: 'lenet' takes pictures, the data of source 'table' are none" in line


def test_going_on_is_bit_for_bit(here, capsys):
    write_table(here / "things.csv")
    options = ["--data", "things.csv", *TINY, "--set", "schedule={name='step', every=4, gamma=0.5}"]
    said(capsys, "train", "wine", *options, "--steps", "12", "--run", "whole")
    said(capsys, "train", "wine", *options, "--steps", "5", "--run", "parts")
    output = said(capsys, "train", "--run", "parts", "--steps", "12")
    assert "going on in parts from step 5" in output and "finished: 12 steps" in output
    folders = [here / name / "checkpoints" for name in ("whole", "parts")]
    whole, parts = (Checkpoints(folder).load(12) for folder in folders)
    assert whole.state.keys() == parts.state.keys()
    for name, tensor in whole.state.items():
        assert torch.equal(tensor, parts.state[name]), name
    for file in ("scores.json", "result.png", "recipe.toml"):
        assert (here / "whole" / file).read_bytes() == (here / "parts" / file).read_bytes(), file
    write_table(here / "things.csv", width=[1] * 59 + [2])
    assert "belongs to another run" in refused(capsys, "train", "--run", "parts", "--steps", "14")


def test_a_cosine_ends_with_its_steps(here, capsys):
    write_table(here / "things.csv")
    cosine = ["--data", "things.csv", *TINY, "--set", "schedule=cosine", "--run", "r"]
    said(capsys, "train", "wine", *cosine, "--steps", "4")
    line = refused(capsys, "train", "wine", *cosine, "--steps", "8")
    assert "train.steps is 4 there, 8 asked for" in line and "may be raised" not in line


def test_a_run_can_be_looked_at_and_checked(here, capsys):
    write_table(here / "things.csv")
    said(capsys, "train", "wine", "--data", "things.csv", *STEPS, "--run", "r")
    assert "Linear" in said(capsys, "look", "r", "--level", "module")
    assert "passed" in said(capsys, "check", "r")
    table = said(capsys, "look", "r", "--layers")
    assert "linear" in table and "in all" in table
    line = refused(capsys, "sample", "r")
    assert "r: expected the run of a game or of a text, got supervised training" in line
    (here / "some.py").write_text(
        "from torch import nn\nfrom backlit.supervised import Supervised\n"
        "it = Supervised(nn.Linear(2, 2))\n"
    )
    assert "expected a batch beside the step; name a tuple" in refused(capsys, "look", "some.py:it")


def test_sentences_of_unequal_length_and_of_none(here, capsys):
    lines = [f"{'good ' * (i % 4 + 1)}film,{'ab'[i % 2]}" for i in range(40)]
    file = here / "films.csv"
    file.write_text("text,label\n" + "\n".join(lines) + "\n")
    small = ["--set", "network.width=4", "--set", "network.features=4"]
    output = said(capsys, "train", "sentiment", "--data", "films.csv", *STEPS, *small)
    assert "sentences: sentences of 2 to 5 words, padded at the end" in output
    file.write_text("text,label\n" + "\n".join([*lines, " ,a"]) + "\n")
    line = refused(capsys, "train", "sentiment", "--data", "films.csv", *STEPS, *small, "--fresh")
    assert "films.csv, line 42, column 'text': expected a sentence of at least 1 word" in line
