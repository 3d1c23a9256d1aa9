"""idx files: read, checked, found, brought in from a folder and from a Debian package."""

import gzip
import io
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from backlit.data import fashion_mnist, idx, install, mnist, read_idx
from backlit.errors import DataError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def raw(array: np.ndarray) -> bytes:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return b"\0\0\x08" + bytes([array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def write(folder, train=40, test=10, suffix=""):
    """The four files of 5 x 4 pixels; returns the training labels."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    pack = gzip.compress if suffix == ".gz" else bytes
    for part, count in (("train", train), ("t10k", test)):
        pixels = rng.integers(0, 256, (count, 5, 4), np.uint8)
        (folder / f"{part}-images-idx3-ubyte{suffix}").write_bytes(pack(raw(pixels)))
        labels = np.arange(count) % 10
        (folder / f"{part}-labels-idx1-ubyte{suffix}").write_bytes(pack(raw(labels)))
    return folder


def refused(call, *arguments, **options) -> str:
    with pytest.raises(DataError) as error:
        call(*arguments, **options)
    text = str(error.value)
    assert "\n" not in text
    return text


@given(arrays(np.uint8, array_shapes(max_dims=4)), st.booleans())
def test_what_was_written_is_read(array, zipped):
    file = gzip.compress(raw(array), 1) if zipped else raw(array)
    assert (read_idx(file, "x") == array).all()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_folder(tmp_path, suffix):
    data = idx(write(tmp_path / "a", suffix=suffix), validation=10)
    assert data.inputs.shape == (50, 1, 5, 4)
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 10)
    assert data.test.tolist() == list(range(40, 50))
    assert data.targets[data.validation].bincount().tolist() == [1] * 10
    pixels = (data.inputs * data.std + data.mean) * 255
    expected = read_idx((tmp_path / "a" / f"{IMAGES}{suffix}").read_bytes(), "x")
    assert np.abs(pixels[:40, 0].numpy() - expected).max() < 1e-3
    seen = data.inputs[data.train]
    assert abs(seen.mean()) < 1e-5 and abs(seen.std(correction=0) - 1) < 1e-5
    assert data.facts[0].startswith("pixels of 0..1 standardised with the training mean 0.")


def test_dotted_names_and_constant_pictures(tmp_path):
    folder = write(tmp_path / "a")
    (folder / IMAGES).unlink()
    (folder / "train-images.idx3-ubyte").write_bytes(raw(np.zeros((40, 5, 4))))
    data = idx(folder, validation=0)
    assert not data.inputs[:40].any() and len(data.validation) == 0


GOOD = raw(np.zeros((40, 5, 4)))


@pytest.mark.parametrize(
    ("file", "content", "text"),
    [
        (IMAGES, GOOD[:-5], "expected 800 values (40x5x4), cut short at 795; get the file again"),
        (IMAGES, GOOD + b"x", "expected 800 values (40x5x4), more follow; get the file again"),
        (IMAGES, GOOD[:9], "cut short in its header; get the file again"),
        (IMAGES, gzip.compress(GOOD)[:-12], "cut short (its gzip ends early); get the file again"),
        (
            IMAGES,
            b"\x1f\x8b\x09" + b"\0" * 20,
            "damaged gzip (Unknown compression method); get the file again",
        ),
        (
            IMAGES,
            b"\x89PNG\r\n",
            "expected an idx file of unsigned bytes (it begins 00 00 08 and 01..04), this one "
            "begins 89 50 4e 47",
        ),
        (
            IMAGES,
            b"",
            "expected an idx file of unsigned bytes (it begins 00 00 08 and 01..04), this one "
            "begins nowhere: it is empty",
        ),
        (
            IMAGES,
            b"\0\0\x08\x03" + b"\xff" * 12,
            "its header says 79,228,162,458,924,105,385,300,197,375 values, expected at most "
            "8,589,934,592; get the file again",
        ),
        (IMAGES, raw(np.zeros(40)), "expected pictures (3 axes), its header says 1 axes"),
        (IMAGES, raw(np.zeros((40, 0, 4))), "expected pictures, its header says (40, 0, 4)"),
        (LABELS, GOOD, "expected labels (1 axis), its header says 3 axes"),
        (
            LABELS,
            raw(np.arange(40) % 11),
            "expected labels of 0..9, label 10 (counted from 0) is 10",
        ),
    ],
    ids=range(12),
)
def test_a_bad_file(tmp_path, file, content, text):
    folder = write(tmp_path / "a")
    (folder / file).write_bytes(content)
    assert refused(idx, folder) == f"{folder / file}: {text}"
    assert refused(install, "mnist", folder) == f"{folder / file}: {text}"


def test_a_bad_folder(tmp_path):
    folder = write(tmp_path / "a")
    (folder / LABELS).write_bytes(raw(np.zeros(39)))
    labels, images = folder / LABELS, folder / IMAGES
    assert refused(idx, folder) == (
        f"{labels}: expected 40 labels, as {images} has pictures; got 39"
    )
    labels.unlink()
    assert refused(idx, folder) == f"expected {LABELS} or {LABELS}.gz in {folder}, found neither"
    write(folder)
    assert (
        refused(idx, folder, validation=21)
        == "validation: expected 0..20 of the 40 pictures, got 21"
    )
    images.write_bytes(raw(np.zeros((40, 5, 5))))
    assert refused(idx, folder) == (
        f"{folder}: expected pictures of one size, train has (5, 5), t10k (5, 4)"
    )


def test_brought_in_from_a_folder_or_one_file(tmp_path, cache):
    assert refused(fashion_mnist) == (
        f"fashion-mnist: expected its four idx files in {cache / 'fashion-mnist'}; put them there "
        "with `backlit data fashion-mnist --from FILE_OR_FOLDER`"
    )
    write(tmp_path / "plain")
    zipped = write(tmp_path / "zipped", train=80, suffix=".gz")
    assert install("fashion-mnist", tmp_path / "plain") == cache / "fashion-mnist"
    data = fashion_mnist(validation=4)
    assert len(data) == 50 and data.classes[9] == "ankle boot" and data.name == "fashion-mnist"
    install("fashion-mnist", zipped / f"{IMAGES}.gz")
    assert len(fashion_mnist(validation=4)) == 90
    assert len(list((cache / "fashion-mnist").iterdir())) == 4
    assert mnist(zipped, validation=4).classes[9] == "9"


def deb(files: dict[str, bytes], member="data.tar.xz", mode="w:xz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./usr/share/datasets/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return b"!<arch>\n" + b"".join(
        f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode()
        + body
        + b"\n" * (len(body) % 2)
        for name, body in (("debian-binary", b"2.0"), (member, packed.getvalue()))
    )


def test_brought_in_from_a_debian_package(tmp_path):
    folder = write(tmp_path / "a", suffix=".gz")
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    package = tmp_path / "dataset-fashion-mnist_0_all.deb"
    package.write_bytes(deb({**files, "README": b"hello"}))
    install("fashion-mnist", package)
    assert len(fashion_mnist(validation=4)) == 50

    del files[f"{LABELS}.gz"]
    package.write_bytes(deb(files))
    assert refused(install, "fashion-mnist", package) == (
        f"{package}: expected the four idx files of fashion-mnist, plain or .gz; missing: {LABELS}"
    )
    files[f"{LABELS}.gz"] = raw(np.zeros(39))
    package.write_bytes(deb(files))
    assert "expected 40 labels, as" in refused(install, "fashion-mnist", package)


def test_a_bad_debian_package(tmp_path):
    package = tmp_path / "x.deb"
    package.write_bytes(b"PK\x03\x04 and more")
    assert refused(install, "mnist", package) == (
        f"{package}: expected a Debian package, this file begins b'PK\\x03\\x04 and'"
    )
    package.write_bytes(deb({IMAGES: GOOD})[:-9])
    assert refused(install, "mnist", package) == (
        f"{package}: this Debian package is cut short; get it again"
    )
    package.write_bytes(deb({}, member="other"))
    assert refused(install, "mnist", package) == (
        f"{package}: expected a member data.tar.*, found none; get the package again"
    )
    whole = deb({IMAGES: GOOD})
    package.write_bytes(whole[:250] + b"\0" * (len(whole) - 250))
    assert f"{package}: its data.tar.xz cannot be unpacked (" in refused(install, "mnist", package)
    package.write_bytes(whole.replace(b"\xfd7zXZ", b"\x28\xb5\x2f\xfd."))
    assert "unpack it with `dpkg -x` and give the folder" in refused(install, "mnist", package)


def test_nothing_to_bring_in(tmp_path):
    assert refused(install, "mnist", tmp_path / "nowhere") == (
        f"expected a folder, an idx file or a Debian package, found nothing at "
        f"{tmp_path / 'nowhere'}"
    )
    assert "missing: train-images-idx3-ubyte, train-labels" in refused(install, "mnist", tmp_path)
    assert refused(install, "cifar", tmp_path) == (
        "name: expected one of mnist, fashion-mnist; got 'cifar'"
    )
