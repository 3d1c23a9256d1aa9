"""PictureSet, describe and grid."""

import numpy as np
import pytest
import torch

from backlit.data import PictureSet, describe, folder, grid
from backlit.errors import DataError


def make(count=6, channels=3):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, channels), np.uint8)
    return PictureSet(
        pictures=pixels,
        labels=np.arange(count) % 2,
        classes=("even", "odd"),
        captions=tuple(f"picture {index}" for index in range(count)),
        masks=pixels[..., 0],
        names=tuple(str(index) for index in range(count)),
        key="k",
        skipped=(("bad.png", "empty file (0 bytes)"),),
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_batch_holds_the_chosen_pictures_as_a_copy(channels):
    pictures = make(channels=channels)
    batch = pictures.batch(np.array([5, 0]))
    assert batch.shape == (2, channels, 4, 4) and batch.dtype == torch.uint8
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert (batch[0].permute(1, 2, 0).numpy() == pictures.pictures[5]).all()
    before = pictures.pictures.copy()
    batch.zero_()
    assert (pictures.pictures == before).all()


def test_a_batch_of_a_mapped_folder_can_be_written_to(photos, noise):
    noise(0).save(photos / "a.png")
    batch = folder(photos).batch([0])
    batch.zero_()
    assert folder(photos).pictures.any()


def test_a_subset_carries_everything_along():
    pictures = make()
    chosen = pictures.subset([4, 1])
    assert len(chosen) == 2 and chosen.size_px == 4 and chosen.channels == 3
    assert (chosen.pictures == pictures.pictures[[4, 1]]).all()
    assert (chosen.masks == pictures.masks[[4, 1]]).all()
    assert chosen.labels.tolist() == [0, 1] and chosen.classes == ("even", "odd")
    assert chosen.captions == ("picture 4", "picture 1") and chosen.names == ("4", "1")
    assert chosen.skipped == pictures.skipped
    by_mask = pictures.subset(pictures.labels == 1)
    assert by_mask.names == ("1", "3", "5")


def test_keys_tell_subsets_apart():
    pictures = make()
    keys = {pictures.subset(chosen).key for chosen in ([0, 1], [1, 0], [0], [])}
    assert len(keys | {pictures.key}) == 5
    assert pictures.subset([0, 1]).key == pictures.subset(np.arange(6) < 2).key


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda pictures: pictures.batch([6]), "indices: expected 0..5, got 6..6"),
        (lambda pictures: pictures.batch([0, -1]), "indices: expected 0..5, got -1..0"),
        (
            lambda pictures: pictures.batch([0.5]),
            "indices: expected integers of shape (B,), got float64 (1,)",
        ),
        (
            lambda pictures: pictures.batch(3),
            "indices: expected integers of shape (B,), got int64 ()",
        ),
        (
            lambda pictures: pictures.subset([True, False]),
            "subset: expected a mask of shape (6,), got (2,)",
        ),
    ],
)
def test_wrong_indices(call, text):
    with pytest.raises(DataError) as error:
        call(make())
    assert str(error.value) == text


def test_repr_is_one_readable_line():
    assert repr(make()) == "PictureSet(6 pictures 4x4x3, 2 classes, 1 skipped, key k)"


def test_describe_gives_the_figures_of_the_pixels():
    pictures = make(count=2000)
    pictures.pictures[7] = pictures.pictures[3]
    pictures.pictures[9] = 50
    found = describe(pictures)
    scaled = pictures.pictures / 255
    assert found["mean"] == pytest.approx(scaled.mean(axis=(0, 1, 2)), abs=1e-4)
    assert found["std"] == pytest.approx(scaled.std(axis=(0, 1, 2)), abs=1e-4)
    assert found["count"] == 2000 and found["size_px"] == 4 and found["channels"] == 3
    assert found["classes"] == {"even": 1000, "odd": 1000}
    assert found["skipped"] == 1
    assert found["odd"] == [
        ("bad.png", "empty file (0 bytes)"),
        ("7", "same pixels as 3"),
        ("9", "one colour"),
    ]


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_grid_shows_every_picture_where_it_belongs(channels, mode):
    pixels = make(count=5, channels=channels).pictures
    sheet = grid(pixels, columns=3, scale=2, padding_px=1)
    assert sheet.mode == mode and sheet.size == (3 * 9 + 1, 2 * 9 + 1)
    found = np.asarray(sheet).reshape(19, 28, channels)
    for index in range(5):
        y, x = index // 3 * 9 + 1, index % 3 * 9 + 1
        assert (found[y : y + 8 : 2, x : x + 8 : 2] == pixels[index]).all()
        assert (found[y + 1 : y + 8 : 2, x + 1 : x + 8 : 2] == pixels[index]).all()
    assert (found[0] == 255).all() and (found[:, 0] == 255).all()
    assert (found[10:, 19:] == 255).all()  # no sixth picture


def test_a_grid_of_few_pictures_is_no_wider_than_they_are():
    assert grid(make(count=2).pictures, padding_px=0).size == (8, 4)


@pytest.mark.parametrize(
    "pixels, options, text",
    [
        (
            np.zeros((2, 4, 4, 3)),
            {},
            "grid: expected uint8 (N, H, W, C) with C of 1, 3 or 4, got float64 (2, 4, 4, 3)",
        ),
        (
            np.zeros((2, 3, 4, 5), np.uint8),
            {},
            "grid: expected uint8 (N, H, W, C) with C of 1, 3 or 4, got uint8 (2, 3, 4, 5)",
        ),
        (np.zeros((0, 4, 4, 3), np.uint8), {}, "grid: expected at least 1 picture, got 0"),
        (
            np.zeros((1, 4, 4, 3), np.uint8),
            {"columns": 0},
            "grid: expected columns and scale of at least 1 and padding_px of at least 0,"
            " got 0, 1, 2",
        ),
    ],
)
def test_grid_errors(pixels, options, text):
    with pytest.raises(DataError) as error:
        grid(pixels, **options)
    assert str(error.value) == text
