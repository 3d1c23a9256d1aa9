"""Idx files (MNIST and its likes), tables and folders of pictures as tasks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch.nn.functional import pad

import backlit.data
from backlit.data import Labelled
from backlit.errors import DataError
from backlit.registry import Count
from backlit.train.tasks.task import Task, from_labelled


def mnist(
    path: str | None = None,
    size: Count | None = None,
    validation: int | None = None,
    seed: int = 0,
) -> Task:
    """MNIST.

    Args:
        path: the folder of its four idx files; by default where `backlit data mnist` put them.
        size: edge in pixels, 28 by default; a larger one pads with black on all sides.
        validation, seed: as `backlit.data.mnist`.
    """
    return from_labelled(enlarged(backlit.data.mnist(path, validation, seed), size))


def fashion_mnist(
    path: str | None = None,
    size: Count | None = None,
    validation: int | None = None,
    seed: int = 0,
) -> Task:
    """Fashion-MNIST; options as `mnist`."""
    return from_labelled(enlarged(backlit.data.fashion_mnist(path, validation, seed), size))


def idx(
    path: str,
    classes: Sequence[str] = tuple("0123456789"),
    size: Count | None = None,
    validation: int | None = None,
    seed: int = 0,
) -> Task:
    """A folder with the four idx files of MNIST or its likes.

    Args:
        path: the folder.
        classes: names by number, default the ten digits.
        size, validation, seed: as `mnist`.
    """
    data = backlit.data.idx(path, "idx", tuple(classes), validation, seed)
    return from_labelled(enlarged(data, size))


def table(
    path: str,
    target: str | None = None,
    kind: Literal["auto", "class", "number"] = "auto",
    test_path: str | None = None,
    leave_out: Sequence[str] = (),
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    most_words: Count = 50,
) -> Task:
    """A CSV or Parquet table; options as `backlit.data.table`."""
    return from_labelled(
        backlit.data.table(
            path, target, kind, test_path, tuple(leave_out), validation, test, seed, most_words
        )
    )


def pictures(
    path: str,
    size: Count = 64,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    channels: Literal[1, 3] = 3,
    strict: bool = False,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
) -> Task:
    """A folder of pictures with a sub-folder for each class.

    Args:
        path, size, fit, channels, strict: as `backlit.data.folder`.
        validation, test, seed: as `backlit.data.labelled_pictures`.
    """
    found = backlit.data.folder(path, size=size, fit=fit, channels=channels, strict=strict)
    return from_labelled(backlit.data.labelled_pictures(found, "pictures", validation, test, seed))


def enlarged(data: Labelled, size: int | None) -> Labelled:
    """Square pictures with black on all sides, `size` pixels in all.

    Raises:
        DataError: pictures larger than that.
    """
    height, width = data.inputs.shape[2:]
    if size is None or (height, width) == (size, size):
        return data
    if size < max(height, width):
        raise DataError(
            f"{data.name}: expected a size of at least {max(height, width)} pixels, as its "
            f"pictures have, got {size}"
        )
    assert data.mean is not None and data.std is not None  # every reader of idx files sets them
    black = float(-data.mean.flatten()[0] / data.std.flatten()[0])
    left, top = (size - width) // 2, (size - height) // 2
    sides = (left, size - width - left, top, size - height - top)
    fact = f"padded with black from {width}x{height} to {size}x{size} pixels"
    return replace(data, inputs=pad(data.inputs, sides, value=black), facts=(*data.facts, fact))
