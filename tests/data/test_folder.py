"""Folders of pictures: what is found, what is a class, and one clear line for all that is wrong."""

import os
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backlit.data import folder, listing, open_folder
from backlit.errors import DataError

TYPES = ".png, .jpg, .jpeg, .webp, .gif, .bmp, .tif, .tiff"


def refused(path, **options) -> str:
    with pytest.raises(DataError) as error:
        folder(path, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


def enormous_png(width: int, height: int) -> bytes:
    """A PNG whose header says width x height; decoding it would take gigabytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def test_sub_folders_are_classes_in_sorted_order(photos, noise):
    for number, name in enumerate(["dog/b.png", "cat/deep/er/z.png", "dog/a.png", "cat/a.jpg"]):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        noise(number).save(photos / name)
    pictures = folder(photos, size=12)
    assert pictures.names == ("cat/a.jpg", "cat/deep/er/z.png", "dog/a.png", "dog/b.png")
    assert pictures.classes == ("cat", "dog")
    assert pictures.labels.dtype == np.int64 and pictures.labels.tolist() == [0, 0, 1, 1]
    assert (pictures.pictures[3] == np.asarray(noise(0))).all()


def test_pictures_beside_sub_folders_give_no_classes_and_a_warning(photos, noise):
    (photos / "sub").mkdir()
    noise(0).save(photos / "a.png")
    noise(1).save(photos / "sub" / "b.png")
    with pytest.warns(UserWarning, match="1 pictures lie beside the sub-folders, so the sub-fold"):
        pictures = folder(photos)
    assert pictures.labels is None and pictures.classes == ()
    assert pictures.names == ("a.png", "sub/b.png")


def test_a_flat_folder_has_no_classes(photos, noise):
    noise(0).save(photos / "a.png")
    assert folder(photos).labels is None


def test_hidden_files_and_other_types_are_passed_over(photos, noise):
    noise(0).save(photos / "a.PNG")
    (photos / ".hidden").mkdir()
    noise(1).save(photos / ".hidden" / "b.png")
    noise(2).save(photos / ".c.png")
    (photos / "notes.txt").write_text("not a picture")
    pictures = folder(photos)
    assert pictures.names == ("a.PNG",) and pictures.skipped == ()


def test_broken_files_are_skipped_counted_and_named(photos, noise):
    noise(0).save(photos / "good.png")
    noise(1, 64, 64).save(photos / "cut.jpg")
    (photos / "cut.jpg").write_bytes((photos / "cut.jpg").read_bytes()[:1500])
    (photos / "empty.png").touch()
    (photos / "text.png").write_text("hello")
    (photos / "huge.png").write_bytes(enormous_png(50_000, 50_000))
    (photos / "large.png").write_bytes(enormous_png(10_000, 10_000))
    (photos / "nowhere.png").symlink_to(photos / "missing")
    broken = bytearray((photos / "good.png").read_bytes())
    broken[50:60] = bytes(10)
    (photos / "rotten.png").write_bytes(broken)
    pictures = folder(photos)
    assert pictures.names == ("good.png",)
    reasons = dict(pictures.skipped)
    limit = "larger than the limit of 89,478,485 pixels (PIL.Image.MAX_IMAGE_PIXELS)"
    assert reasons.pop("cut.jpg").startswith("damaged: image file is truncated")
    assert reasons.pop("rotten.png").startswith("damaged: ")
    assert reasons == {
        "empty.png": "empty file (0 bytes)",
        "text.png": "not a picture: no known format begins like this",
        "huge.png": limit,
        "large.png": limit,
        "nowhere.png": "not a regular file, or a link to nothing",
    }
    assert folder(photos).skipped == pictures.skipped
    assert refused(photos, strict=True) == (
        f"7 of 8 files in {photos} cannot be used, the first: cut.jpg"
        f" ({dict(pictures.skipped)['cut.jpg']})"
    )


def test_a_pipe_named_png_does_not_hang(photos, noise):
    noise(0).save(photos / "a.png")
    os.mkfifo(photos / "b.png")
    assert folder(photos).skipped[0][0] == "b.png"


def test_an_unreadable_file_is_skipped_and_used_once_it_can_be_read(photos, noise, monkeypatch):
    noise(0).save(photos / "a.png")
    noise(1).save(photos / "b.png")
    real_open = open

    def guarded(file, *rest, **options):
        if Path(str(file)).name == "b.png":
            raise PermissionError(13, "Permission denied", str(file))
        return real_open(file, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", guarded)
        assert folder(photos).skipped == (("b.png", "cannot be read: Permission denied"),)
    assert len(folder(photos)) == 2


@pytest.mark.parametrize("place", ["", "sub"])
def test_an_unreadable_folder_is_refused_and_an_unreadable_sub_folder_named(
    photos, noise, monkeypatch, place
):
    noise(0).save(photos / "a.png")
    (photos / "sub").mkdir()
    real_scandir = os.scandir

    def guarded(path):
        if Path(path) == photos / place:
            raise PermissionError(13, "Permission denied", str(path))
        return real_scandir(path)

    monkeypatch.setattr("os.scandir", guarded)
    if place:
        assert folder(photos).skipped == (("sub/", "cannot be read: Permission denied"),)
        assert refused(photos, strict=True).startswith(f"1 of 1 files in {photos} cannot be used")
    else:
        assert refused(photos) == f"folder {photos} cannot be read: Permission denied"


def test_missing_empty_and_file_instead_of_folder(photos):
    missing, file = photos / "no" / "where", photos / "notes.txt"
    assert refused(missing) == f"expected a folder of pictures, found nothing at {missing}"
    assert refused(photos) == f"expected pictures ({TYPES}) in {photos}, found none"
    file.touch()
    assert refused(file) == f"expected a folder of pictures, found a file at {file}"
    assert refused(photos) == (
        f"expected pictures ({TYPES}) in {photos}, found none among 1 other files"
    )


def test_too_few_pictures(photos, noise):
    for number in range(3):
        noise(number).save(photos / f"{number}.png")
    assert refused(photos, minimum=64) == (
        f"expected at least 64 pictures (one batch), found 3 in {photos}"
    )
    (photos / "2.png").write_text("x")
    assert refused(photos, minimum=3) == (
        f"expected at least 3 pictures (one batch), found 2 in {photos}; 1 skipped,"
        " the first: 2.png (not a picture: no known format begins like this)"
    )


def test_nothing_but_broken_files(photos):
    (photos / "a.png").touch()
    assert refused(photos) == (
        f"expected at least 1 picture, found 0 in {photos}; 1 skipped,"
        " the first: a.png (empty file (0 bytes))"
    )


@pytest.mark.parametrize(
    "options, text",
    [
        ({"fit": "cropp"}, "fit: expected one of crop, pad, stretch; got 'cropp'"),
        ({"channels": 2}, "channels: expected one of 1, 3, 4; got 2"),
        ({"size": 0}, "size: expected 1..4096 pixels, got 0"),
        ({"size": 64.0}, "size: expected 1..4096 pixels, got 64.0"),
        (
            {"background": "whit"},
            "background: expected (r, g, b) of 0..255 or a colour name, got 'whit'",
        ),
    ],
)
def test_options_are_checked_before_the_folder_is_touched(options, text):
    assert refused("no such folder", **options) == text


def test_a_file_changed_while_reading_is_refused(photos, noise, monkeypatch):
    noise(0).save(photos / "a.png")

    def changed(*arguments):
        return [listing.Found("a.png", "0" * 64)]

    monkeypatch.setattr(open_folder, "hash_files", changed)
    assert refused(photos) == (
        f"{photos / 'a.png'}: changed while its folder was read; open the folder again"
    )


def test_a_raised_pixel_limit_is_honoured(photos, noise, monkeypatch):
    noise(0, 100, 100).save(photos / "a.png")
    noise(1, 10, 10).save(photos / "b.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_999)
    assert folder(photos).skipped == (
        ("a.png", "larger than the limit of 9,999 pixels (PIL.Image.MAX_IMAGE_PIXELS)"),
    )
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    assert folder(photos).skipped == ()


def test_memory_running_out_is_said(photos, noise, monkeypatch):
    noise(0).save(photos / "a.png")

    def no_memory(*arguments):
        raise MemoryError

    monkeypatch.setattr("backlit.data.decode.to_array", no_memory)
    assert refused(photos) == f"{photos / 'a.png'}: not enough memory to decode it"


def test_pillow_and_the_warning_filters_are_left_as_they_were(photos, noise):
    noise(0).save(photos / "a.png")
    (photos / "b.png").write_bytes(enormous_png(10_000, 10_000))
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    folder(photos)
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse such names")
def test_names_that_are_not_utf8(photos, noise):
    noise(0).save(photos / "a.png")
    os.rename(photos / "a.png", os.fsencode(photos) + b"/\xff\xe9.png")
    assert folder(photos).names == folder(photos).names == (os.fsdecode(b"\xff\xe9.png"),)
