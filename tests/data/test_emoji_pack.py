"""The bundled pack: what it holds, what was left out, and that it opens as promised."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import backlit.data as data
from backlit.data import fluent
from backlit.errors import DataError

PACK = Path(data.__file__).parent / "emoji"
ROWS = json.loads((PACK / "pack.json").read_text(encoding="utf-8"))["pictures"]


@pytest.fixture(scope="module", params=["flat", "3d"])
def everything(request):
    return data.emoji(style=request.param, background="rgba")


def test_the_pack_holds_1522_pairs_in_at_most_20_megabytes(everything):
    assert everything.pictures.shape == (1522, 64, 64, 4)
    assert everything.pictures.dtype == np.uint8
    assert sum(file.stat().st_size for file in PACK.iterdir()) <= 20e6
    assert {file.name for file in PACK.iterdir()} == {
        "3d.webp",
        "flat.webp",
        "pack.json",
        "LICENSE",
        "PROVENANCE.md",
    }


def test_licence_and_provenance_name_their_sources():
    licence = (PACK / "LICENSE").read_text()
    assert "MIT License" in licence and "Microsoft Corporation" in licence
    head = json.loads((PACK / "pack.json").read_text(encoding="utf-8"))
    provenance = (PACK / "PROVENANCE.md").read_text()
    for package in ("fluent-emoji-3d", "fluent-emoji-flat", "emojibase-data"):
        assert package in provenance
    assert len(head["sources"]) == 3
    assert all(len(digest) == 64 for digest in head["sources"].values())
    assert len(head["dropped"]) == 48


def test_every_pair_overlaps_by_at_least_0_7():
    flat, three = (data.emoji(style=style).masks > 0 for style in ("flat", "3d"))
    both = (flat & three).sum(axis=(1, 2))
    either = (flat | three).sum(axis=(1, 2))
    assert (both / either).min() >= 0.7
    assert (both / either).mean() > 0.94


def test_no_picture_has_a_skin_tone():
    tones = {f"{tone:x}" for tone in range(0x1F3FB, 0x1F400)}
    assert not [row["code"] for row in ROWS if tones & set(row["code"].split("-"))]
    assert len({row["code"] for row in ROWS}) == 1522


def test_captions_names_and_groups():
    pictures = data.emoji()
    assert len(set(pictures.names)) == 1522
    assert pictures.captions[0].startswith("grinning face: cheerful, ")
    counts = data.describe(pictures)["classes"]
    assert counts == {
        "smileys": 166,
        "people": 305,
        "animals": 155,
        "food": 123,
        "travel": 217,
        "activities": 79,
        "objects": 254,
        "symbols": 217,
        "flags": 6,
    }


@pytest.mark.parametrize("key", ["code", "base", "fold"])
def test_train_and_test_share_no_base_and_no_fold(key):
    sides = {side: {row[key] for row in ROWS if row["split"] == side} for side in ("train", "test")}
    assert not sides["train"] & sides["test"]
    assert Counter(row["split"] for row in ROWS) == {"train": 1373, "test": 149}


@pytest.mark.parametrize("style", ["flat", "3d"])
def test_no_near_duplicate_crosses_the_split(style):
    train, test = (data.emoji(style=style, split=side).pictures for side in ("train", "test"))
    train, test = (side.reshape(len(side), -1).astype(np.float32) / 255 for side in (train, test))
    nearest = [np.sqrt(((train - one) ** 2).mean(axis=1)).min() for one in test]
    assert min(nearest) > 0.0499


def test_clock_faces_and_genders_share_a_fold():
    folds = {row["label"]: row["fold"] for row in ROWS}
    assert folds["one o’clock"] == folds["seven-thirty"]
    assert folds["man rowing boat"] == folds["woman rowing boat"] == folds["person rowing boat"]


def test_faces_are_104_and_the_same_emoji_in_both_styles():
    three, flat = data.emoji(group="faces", size=32), data.emoji("flat", "faces", size=32)
    assert three.pictures.shape == (104, 32, 32, 3)
    assert three.names == flat.names and three.key != flat.key
    assert "skull" not in three.names
    assert len(data.emoji(group="faces", by="subgroup").classes) == 11


def test_groups_can_be_listed_and_labels_agree_between_splits():
    train = data.emoji(group=["animals", "drink"], split="train")
    test = data.emoji(group=["animals", "drink"], split="test")
    assert train.classes == test.classes == ("animals", "food")
    assert len(train) + len(test) == len(data.emoji(group=["animals", "drink"]))


def test_background_lies_under_the_picture():
    rgba = data.emoji(group="heart", background="rgba").pictures
    for background in ((255, 255, 255), (10, 200, 30)):
        over = data.emoji(group="heart", background=background).pictures
        clear = rgba[..., 3] == 0
        assert clear.any() and (over[clear] == background).all()
        solid = rgba[..., 3] == 255
        assert (over[solid] == rgba[..., :3][solid]).all()
    assert (data.emoji(background="white").pictures == data.emoji().pictures).all()


def test_resizing_keeps_dark_fringes_out():
    """Clear pixels hold black: resized without premultiplying they would darken every edge."""
    small = data.emoji(group="face-smiling", size=16, background="rgba").pictures
    edge = small[(small[..., 3] > 60) & (small[..., 3] < 200)][:, :3]
    assert edge.max(axis=1).min() > 60
    assert np.median(edge.max(axis=1)) > 200


def test_masks_follow_the_alpha_channel(everything):
    assert set(np.unique(everything.masks)) == {0, 255}
    assert ((everything.masks == 255) == (everything.pictures[..., 3] > 127)).all()


def test_opening_twice_gives_the_same_key_and_other_options_another():
    assert data.emoji(size=24).key == data.emoji(size=24).key
    keys = {data.emoji(group="heart", size=24, split=split).key for split in ("all", "train")}
    keys |= {data.emoji(group="heart", size=24, background="black").key}
    assert len(keys) == 3


@pytest.mark.parametrize(
    "options, text",
    [
        ({"style": "round"}, "style: expected one of flat, 3d; got 'round'"),
        ({"split": "valid"}, "split: expected one of all, train, test; got 'valid'"),
        ({"by": "tag"}, "by: expected one of group, subgroup; got 'tag'"),
        ({"size": 65}, "size: expected 1..64 pixels, got 65"),
        ({"size": 0}, "size: expected 1..64 pixels, got 0"),
        (
            {"background": "whiet"},
            "background: expected (r, g, b) of 0..255 or a colour name, got 'whiet'",
        ),
        (
            {"background": (0, 0, 256)},
            "background: expected (r, g, b) of 0..255 or a colour name, got (0, 0, 256)",
        ),
        (
            {"group": "hotel", "split": "test"},
            "emoji: group 'hotel' has no pictures in split 'test'",
        ),
    ],
)
def test_errors_name_what_is_allowed(options, text):
    with pytest.raises(DataError) as error:
        data.emoji(**options)
    assert str(error.value) == text


@pytest.mark.parametrize("group", ["face", ["faces", "face"]])
def test_an_unknown_group_is_refused_with_the_known_ones(group):
    with pytest.raises(DataError) as error:
        data.emoji(group=group)
    text = str(error.value)
    assert text.startswith("group: expected one of faces, smileys, people, animals, food, ")
    assert "face-smiling" in text and text.endswith("; got 'face'") and "\n" not in text


def test_a_damaged_pack_is_noticed(tmp_path, monkeypatch):
    for file in PACK.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    Image.new("RGBA", (39 * 64, 40 * 64), "red").save(tmp_path / "flat.webp", lossless=True)
    monkeypatch.setattr(fluent, "PACK", tmp_path)
    fluent._tiles.cache_clear()
    with pytest.raises(DataError, match=r"flat\.webp: its pixels are not those pack\.json names"):
        data.emoji("flat")
    fluent._tiles.cache_clear()


def test_a_batch_is_channels_last_uint8():
    batch = data.emoji(group="faces").batch([3, 1, 3])
    assert batch.shape == (3, 3, 64, 64) and batch.dtype == torch.uint8
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch[0], batch[2])
