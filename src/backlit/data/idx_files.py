"""MNIST and its likes: the idx files, gzipped or not, read and checked.

An idx file is 0, 0, the type (8: unsigned byte), the number of axes, the length of each axis as a
big-endian 32-bit integer, then the values.
Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits, "File formats".
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch

from backlit.data.labelled import Labelled, split, standardise
from backlit.errors import DataError
from backlit.folders import cache_folder

FILES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "t10k-images": "t10k-images-idx3-ubyte",
    "t10k-labels": "t10k-labels-idx1-ubyte",
}
CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
}
LARGEST_BYTES = 1 << 33  # a header that says more is taken for damage


def read_idx(raw: bytes, where: str) -> np.ndarray:
    """The array in an idx file of unsigned bytes.

    Args:
        raw: the file's bytes, gzipped or not.
        where: what an error calls the file.

    Returns:
        uint8, of the shape in the header.

    Raises:
        DataError: damaged gzip, another magic number, or more or fewer values than the header says.
    """
    file: io.BufferedIOBase = io.BytesIO(raw)
    if raw[:2] == b"\x1f\x8b":
        file = gzip.GzipFile(fileobj=file)
    try:
        magic = file.read(4)
        if len(magic) < 4 or magic[:3] != b"\0\0\x08" or magic[3] not in (1, 2, 3, 4):
            raise DataError(
                f"{where}: expected an idx file of unsigned bytes (it begins 00 00 08 and 01..04),"
                f" this one begins {magic.hex(' ') or 'nowhere: it is empty'}"
            )
        sizes = file.read(4 * magic[3])
        if len(sizes) < 4 * magic[3]:
            raise DataError(f"{where}: cut short in its header; get the file again")
        shape = struct.unpack(f">{magic[3]}I", sizes)
        expected = math.prod(shape)
        if expected > LARGEST_BYTES:
            raise DataError(
                f"{where}: its header says {expected:,} values, expected at most"
                f" {LARGEST_BYTES:,}; get the file again"
            )
        body = bytearray()
        while len(body) <= expected and (chunk := file.read(1 << 20)):
            body += chunk
    except EOFError:
        raise DataError(f"{where}: cut short (its gzip ends early); get the file again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{where}: damaged gzip ({error}); get the file again") from None
    if len(body) != expected:
        axes = "x".join(map(str, shape))
        found = f"cut short at {len(body):,}" if len(body) < expected else "more follow"
        raise DataError(
            f"{where}: expected {expected:,} values ({axes}), {found}; get the file again"
        )
    return np.frombuffer(bytes(body), np.uint8).reshape(shape)


def find_idx(folder: Path) -> dict[str, Path]:
    """Which of the four files lie in a folder, by their key in FILES."""
    found: dict[str, Path] = {}
    for key, name in FILES.items():
        for spelling in (name, name.replace("-idx", ".idx")):
            for file in (folder / spelling, folder / f"{spelling}.gz"):
                if file.is_file():
                    found.setdefault(key, file)
    return found


def read_pair(
    images: tuple[bytes, str], labels: tuple[bytes, str], classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (N, H, W) and labels uint8 (N,), checked against each other.

    Args:
        images, labels: bytes of each file and what an error calls it.
        classes: how many there are.
    """
    pixels, numbers = read_idx(*images), read_idx(*labels)
    for array, axes, (_, where) in ((pixels, 3, images), (numbers, 1, labels)):
        if array.ndim != axes:
            what = "pictures (3 axes)" if axes == 3 else "labels (1 axis)"
            raise DataError(f"{where}: expected {what}, its header says {array.ndim} axes")
    if not pixels.size:
        raise DataError(f"{images[1]}: expected pictures, its header says {pixels.shape}")
    if len(pixels) != len(numbers):
        raise DataError(
            f"{labels[1]}: expected {len(pixels)} labels, as {images[1]} has pictures;"
            f" got {len(numbers)}"
        )
    wrong = np.flatnonzero(numbers >= classes)
    if len(wrong):
        raise DataError(
            f"{labels[1]}: expected labels of 0..{classes - 1}, label {wrong[0]} (counted from 0)"
            f" is {numbers[wrong[0]]}"
        )
    return pixels, numbers


def idx(
    folder: str | Path,
    name: str = "idx",
    classes: tuple[str, ...] = CLASSES["mnist"],
    validation: int | None = None,
    seed: int = 0,
) -> Labelled:
    """Pictures and labels from a folder with the four files of MNIST or its likes.

    Args:
        folder: holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
            t10k-labels-idx1-ubyte, each plain or .gz.
        name: of the set.
        classes: their names; labels are 0 .. len(classes) - 1.
        validation: how many of the training pictures are kept for validation, every class in
            proportion; at most half of them, by default a twelfth (5,000 of 60,000).
        seed: decides which.

    Returns:
        inputs float32 (N, 1, H, W), standardised with the one mean and std of the training
        pixels of 0..1; targets int64 (N,); the test part is the t10k files.

    Raises:
        DataError: a file is missing, cut short, of another kind, or does not fit its partner.
    """
    folder = Path(folder).expanduser()
    found = find_idx(folder)
    for key, file in FILES.items():
        if key not in found:
            raise DataError(f"expected {file} or {file}.gz in {folder}, found neither")
    raws = {key: (file.read_bytes(), str(file)) for key, file in found.items()}
    seen = read_pair(raws["train-images"], raws["train-labels"], len(classes))
    tested = read_pair(raws["t10k-images"], raws["t10k-labels"], len(classes))
    if seen[0].shape[1:] != tested[0].shape[1:]:
        raise DataError(
            f"{folder}: expected pictures of one size, train has {seen[0].shape[1:]},"
            f" t10k {tested[0].shape[1:]}"
        )
    n = len(seen[0])
    validation = n // 12 if validation is None else validation
    if not 0 <= validation <= n // 2:
        raise DataError(f"validation: expected 0..{n // 2} of the {n} pictures, got {validation}")
    targets = torch.from_numpy(np.concatenate([seen[1], tested[1]])).long()
    train, held, _ = split(n, validation / n, 0, seed, targets[:n])
    pixels = torch.from_numpy(np.concatenate([seen[0], tested[0]]))[:, None]  # (N, 1, H, W)
    inputs, mean, std = standardise(pixels.float().div_(255), train, (0, 2, 3))
    return Labelled(
        name=name,
        inputs=inputs,
        targets=targets,
        classes=classes,
        train=train,
        validation=held,
        test=torch.arange(n, len(inputs)),
        facts=(
            f"pixels of 0..1 standardised with the training mean {mean.item():.4f} and standard"
            f" deviation {std.item():.4f}",
        ),
        mean=mean,
        std=std,
    )


def fashion_mnist(
    folder: str | Path | None = None, validation: int | None = None, seed: int = 0
) -> Labelled:
    """Fashion-MNIST: 70,000 grey pictures of clothing, 28 px, 10 classes.

    Args:
        folder: where the four idx files lie; by default where `backlit data fashion-mnist --from`
            put them.
        validation, seed: as for `idx`.

    Raises:
        DataError: as for `idx`; without a folder and files, the text says how to get them.

    Source: Xiao, Rasul, Vollgraf 2017, Fashion-MNIST, arXiv:1708.07747.
    """
    return _known("fashion-mnist", folder, validation, seed)


def mnist(
    folder: str | Path | None = None, validation: int | None = None, seed: int = 0
) -> Labelled:
    """MNIST: 70,000 grey handwritten digits, 28 px. Arguments as for `fashion_mnist`.

    Source: LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning, section III.
    """
    return _known("mnist", folder, validation, seed)


def _known(name: str, folder: str | Path | None, validation: int | None, seed: int) -> Labelled:
    place = Path(folder) if folder is not None else cache_folder() / name
    if folder is None and len(find_idx(place)) < len(FILES):
        raise DataError(
            f"{name}: expected its four idx files in {place}; put them there with"
            f" `backlit data {name} --from FILE_OR_FOLDER`"
        )
    return idx(place, name, CLASSES[name], validation, seed)
