"""A set on one page, and what a name or path stands for."""

import gzip
import struct

import numpy as np
import pytest
import torch

from backlit.data import (
    Labelled,
    PictureSet,
    emoji,
    folder,
    open_any,
    reviews,
    sample_pictures,
    summary,
    sunspots,
    table,
    text,
)
from backlit.errors import DataError


def test_a_table(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(
        "age,town,same,kind\n" + "".join(f"{i // 2},T{i % 2},x,c{i % 2}\n" for i in range(20))
    )
    page = summary(table(path, validation=0.1, test=0.1)).splitlines()
    assert page[:6] == [
        "people: 20 samples of 3, float32",
        "class  train  validation  test",
        "c0     8      1           1",
        "c1     8      1           1",
        "all    16     2           2",
        "",
    ]
    assert page[6] == "column   mean   std    least  largest"
    assert page[8].split()[:3] == ["town=T0", "0.5", "0.5"]
    assert "- column 'same' left out: constant ('x') in the training rows" in page
    assert "age  town=T0  town=T1  target" in page and page[-1] == "odd: none"


def test_many_classes_and_doubles():
    data = Labelled(
        name="many",
        inputs=torch.zeros(40, 2),
        targets=torch.arange(40) % 20,
        classes=tuple(f"c{i}" for i in range(20)),
        train=torch.arange(30),
        validation=torch.arange(30, 39),
        test=torch.empty(0).long(),
    )
    page = summary(data).splitlines()
    assert "c11    1      1           0" in page and "... and 8 more" in page
    assert "odd: 39" in page and "  sample 1: same inputs as sample 0 (train and train)" in page
    assert "  ... and 34 more" in page
    assert "all    30     9           0" in page


def test_series_text_and_sentences(tmp_path):
    page = summary(sunspots())
    assert "samples  185    46          62" in page and "training values 0..154.4" in page
    assert "0, 0, 2, 11, 27, 47     63" in page and "persistence forecast" in page
    (tmp_path / "a.txt").write_text("one two\n" * 40)
    page = summary(text(tmp_path / "a.txt").windows(20))
    assert "a: 14 samples of 20, int64" in page and "training tokens: 'o' " in page
    assert "one two\\none two\\none " in page
    page = summary(text(tmp_path / "a.txt", "word").windows(4))
    assert "one two \\n one" in page
    page = summary(reviews())
    assert "The soup was delicious and the bread was still warm.   good" in page


def test_a_folder_with_odd_files(photos, noise):
    for number in range(10):
        place = photos / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        noise(number).save(place / f"{number}.png")
    (photos / "class0" / "torn.png").write_bytes(b"?")
    noise(0).save(photos / "class0" / "again.png")
    found = folder(photos, size=12)
    page = summary(found).splitlines()
    assert page[0] == "11 pictures of 3x12x12, uint8"
    assert page[2].split() == ["class0", "4", "1", "1"] and page[4].split()[0] == "all"
    assert page[5].startswith("mean of each channel, 0..1: 0.")
    assert page[7] == "odd: 2" and "class0/torn.png: not a picture" in page[8]
    assert page[9] == "  class0/again.png: same pixels as class0/0.png"
    rows = sample_pictures(found, each=8)
    assert rows.shape == (16, 12, 12, 3) and (rows[6:8] == 255).all() and (rows[13:] == 255).all()


def test_pictures_are_drawn_as_they_were(tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    inputs = (torch.from_numpy(pixels) / 255 - 0.3) / 0.2
    data = Labelled(
        name="x",
        inputs=inputs,
        targets=torch.tensor([0, 1, 0, 1]),
        classes=("a", "b"),
        train=torch.arange(4),
        validation=torch.empty(0).long(),
        test=torch.empty(0).long(),
        mean=torch.full((1, 1, 1), 0.3),
        std=torch.full((1, 1, 1), 0.2),
    )
    assert (sample_pictures(data, each=2)[..., 0] == pixels[[0, 2, 1, 3], 0]).all()
    assert torch.equal(data.inputs, inputs)
    assert "last 6 values" not in summary(data)
    assert sample_pictures(sunspots()) is None
    assert sample_pictures(emoji(group="food", size=8)).shape == (8, 8, 8, 3)


def write_idx(path, array):
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


def test_what_a_name_or_path_stands_for(tmp_path, photos, noise):
    assert open_any("sunspots").name == "sunspots" and open_any("reviews").name == "reviews"
    assert isinstance(open_any("emoji"), PictureSet)
    noise(0).save(photos / "a.png")
    assert open_any(str(photos), size=9).size_px == 9
    clothes = tmp_path / "clothes"
    clothes.mkdir()
    for part in ("train", "t10k"):
        write_idx(clothes / f"{part}-images-idx3-ubyte.gz", np.ones((24, 1, 1)))
        write_idx(clothes / f"{part}-labels-idx1-ubyte.gz", np.arange(24) % 10)
    assert repr(open_any(str(clothes))).startswith(
        "Labelled(clothes: 48 of 1x1x1, 10 classes; 22 train, 2 val"
    )
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i * i % 7 + 0.5}\n" for i in range(60)))
    assert open_any(str(path), "x").columns == ("y",)
    assert open_any(str(path), "y", as_series=True).inputs.shape == (44, 16, 1)
    (tmp_path / "b.TXT").write_text("some words here " * 9)
    assert open_any(str(tmp_path / "b.TXT"), level="word").inputs.shape[1] == 20
    (tmp_path / "c.md").write_text("some words here " * 99)
    assert open_any(str(tmp_path / "c.md")).inputs.shape[1] == 64


def test_refused(tmp_path):
    def refused(*arguments, **options):
        with pytest.raises(DataError) as error:
            open_any(*arguments, **options)
        return str(error.value)

    assert refused("nowhere") == (
        "expected digits, wine, mnist, fashion-mnist, sunspots, reviews, composed-reviews,"
        " moby-dick, emoji, emoji-groups, emoji-boxes, avatars, a folder or a file;"
        " found nothing at nowhere"
    )
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    assert refused(str(tmp_path / "a.csv"), as_series=True) == (
        f"{tmp_path / 'a.csv'}: expected the column of the series by name, got none"
    )
    for name, beside in (("a.png", "; give the folder it lies in"), ("a.exe", "")):
        (tmp_path / name).write_bytes(b"x")
        assert refused(str(tmp_path / name)) == (
            f"{tmp_path / name}: expected a file of .csv, .tsv, .parquet, .txt, .md, .text{beside}"
        )
