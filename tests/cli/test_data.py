"""`backlit data`: what it shows and brings in, and what it refuses in one line."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import fails

from backlit.cli import run

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def write_idx(folder: Path) -> None:
    folder.mkdir()
    for part, count in (("train", 120), ("t10k", 20)):
        for kind, array in (
            ("images-idx3", np.ones((count, 3, 2), np.uint8)),
            ("labels-idx1", (np.arange(count) % 10).astype(np.uint8)),
        ):
            head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())


@pytest.mark.parametrize("name", ["digits", "emoji"])
def test_pictures(name: str, here: Path, capsys: Output) -> None:
    assert run(["data", "look", name]) == 0
    out = capsys.readouterr().out
    assert "class" in out and "validation" in out and out.endswith(f"{name}-samples.png\n")
    with Image.open(here / f"{name}-samples.png") as picture:
        assert picture.size == (8 * 66 + 2, {"digits": 10, "emoji": 9}[name] * 66 + 2)


@pytest.mark.parametrize("name", ["wine", "sunspots", "reviews"])
def test_others_have_no_picture(name: str, here: Path, capsys: Output) -> None:
    assert run(["data", "look", name]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: ") and not list(here.glob("*.png"))


def test_a_folder_and_its_odd_files(here: Path, capsys: Output) -> None:
    for number in range(12):
        place = here / "pets" / ("cat" if number % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((20, 20), 50).save(place / f"{number}.png")
    (here / "pets" / "cat" / "torn.png").write_text("no picture")
    assert run(["data", "look", "pets", "--size", "16", "--out", "some.png"]) == 0
    out = capsys.readouterr().out
    assert "12 pictures of 3x16x16" in out and "cat/torn.png: not a picture" in out
    with Image.open(here / "some.png") as picture:
        assert picture.size == (8 * 66 + 2, 2 * 66 + 2)


def test_a_table_and_a_series(here: Path, capsys: Output) -> None:
    (here / "a.csv").write_text("x,y\n" + "".join(f"{i},{i % 9}.5\n" for i in range(60)))
    assert run(["data", "look", "a.csv"]) == 0
    assert "target 'y' standardised" in capsys.readouterr().out
    assert run(["data", "look", "a.csv", "--column", "y", "--series"]) == 0
    assert "persistence forecast" in capsys.readouterr().out


def test_a_text(here: Path, capsys: Output) -> None:
    (here / "a.txt").write_text("the cat sat on the mat. " * 40)
    assert run(["data", "look", "a.txt", "--level", "word"]) == 0
    assert "most frequent training tokens: 'the' " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_brought_in(name: str, here: Path, capsys: Output) -> None:
    line = fails(["data", "look", name], capsys)
    assert f"put them there with `backlit data {name} --from FILE_OR_FOLDER`" in line
    write_idx(here / "raw")
    assert run(["data", name, "--from", "raw"]) == 0
    assert capsys.readouterr().out == f"{here / 'cache' / name}\n"
    assert run(["data", "look", name]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: 140 samples of 1x3x2, float32")
    assert run(["data", "look", "raw"]) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["look", "nowhere"], "found nothing at nowhere"),
        (["look", "bad.csv"], "bad.csv, line 3, column 'x': expected a finite number, got 'q'"),
        (["look", "bad.csv", "--column", "z"], "bad.csv: expected a column 'z', found x, y"),
        (["look", "bad.csv", "--series"], "expected the column of the series by name, got none"),
        (["look", "a.txt", "--level", "line"], "level: expected one of char, word; got 'line'"),
        (["look", "empty"], "expected pictures (.png, "),
        (["look", "cut"], "cut/train-images-idx3-ubyte: cut short in its header"),
        (["mnist", "--from", "nowhere"], "found nothing at nowhere"),
        (["fashion-mnist", "--from", "empty"], "missing: train-images-idx3-ubyte, "),
        (["fashion-mnist", "--from", "cut"], "cut short in its header; get the file again"),
        (["fashion-mnist"], "Missing option '--from'"),
        (["cifar"], "No such command 'cifar'"),
    ],
)
def test_refused(arguments: list[str], text: str, here: Path, capsys: Output) -> None:
    (here / "bad.csv").write_text("x,y\n1,a\nq,b\n3,a\n4,b\n5,a\n")
    (here / "a.txt").write_text("words")
    (here / "empty").mkdir()
    write_idx(here / "cut")
    (here / "cut" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0")
    assert text in fails(["data", *arguments], capsys)


def test_a_label_out_of_range(here: Path, capsys: Output) -> None:
    write_idx(here / "raw")
    file = here / "raw" / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + b"\x0b")
    line = fails(["data", "look", "raw"], capsys)
    assert "expected labels of 0..9, label 19 (counted from 0) is 11" in line
