"""Looking at pictures before training on them: the figures of a set, and a grid of samples."""

import hashlib
from typing import Any

import numpy as np
from PIL import Image

from backlit.data.pictures import PictureSet
from backlit.errors import DataError

CHUNK = 1024  # pictures read at once, so that a set larger than memory can be described


def describe(pictures: PictureSet) -> dict[str, Any]:
    """What a set holds, as plain values for a table or JSON.

    Returns:
        count; size_px; channels; classes {name: pictures}; mean and std (one number a channel, of
        values scaled to 0..1); skipped (number of files); odd [(name, reason)]: skipped files,
        pictures of one colour, and pictures with the same pixels as an earlier one.
    """
    count = len(pictures)
    total = np.zeros(pictures.channels)
    squares = np.zeros(pictures.channels)
    odd = list(pictures.skipped)
    first: dict[bytes, int] = {}
    for start in range(0, count, CHUNK):
        chunk = np.asarray(pictures.pictures[start : start + CHUNK])  # (B, H, W, C)
        scaled = chunk.astype(np.float32) / 255
        total += scaled.mean(axis=(1, 2), dtype=np.float64).sum(axis=0)
        squares += (scaled**2).mean(axis=(1, 2), dtype=np.float64).sum(axis=0)
        for index, picture in enumerate(chunk, start):
            earlier = first.setdefault(hashlib.sha256(picture.tobytes()).digest(), index)
            if earlier != index:
                odd.append((pictures.names[index], f"same pixels as {pictures.names[earlier]}"))
            elif (picture == picture[0, 0]).all():
                odd.append((pictures.names[index], "one colour"))
    mean = total / max(1, count)
    std = np.sqrt(np.maximum(squares / max(1, count) - mean**2, 0))
    return {
        "count": count,
        "size_px": pictures.size_px,
        "channels": pictures.channels,
        "classes": class_counts(pictures),
        "mean": [round(float(value), 4) for value in mean],
        "std": [round(float(value), 4) for value in std],
        "skipped": len(pictures.skipped),
        "odd": odd,
    }


def class_counts(pictures: PictureSet) -> dict[str, int]:
    """Pictures in each class, in the order of the classes; empty without labels."""
    if pictures.labels is None:
        return {}
    counts = np.bincount(pictures.labels, minlength=len(pictures.classes))
    return {name: int(number) for name, number in zip(pictures.classes, counts, strict=True)}


def grid(
    pictures: np.ndarray, columns: int = 8, scale: int = 1, padding_px: int = 2
) -> Image.Image:
    """Pictures in rows on white.

    Args:
        pictures: uint8 (N, H, W, C), C = 1, 3 or 4, N at least 1.
        columns: pictures in a row; fewer when N is smaller.
        scale: whole number each pixel is enlarged by, without smoothing.
        padding_px: white between and around the pictures, after scaling.

    Raises:
        DataError: another dtype or shape, or a number out of range.
    """
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] not in (1, 3, 4):
        raise DataError(
            f"grid: expected uint8 (N, H, W, C) with C of 1, 3 or 4, got {pictures.dtype}"
            f" {pictures.shape}"
        )
    if len(pictures) == 0:
        raise DataError("grid: expected at least 1 picture, got 0")
    if columns < 1 or scale < 1 or padding_px < 0:
        raise DataError(
            f"grid: expected columns and scale of at least 1 and padding_px of at least 0,"
            f" got {columns}, {scale}, {padding_px}"
        )
    count, height, width, channels = pictures.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    large = pictures.repeat(scale, axis=1).repeat(scale, axis=2)
    step_y, step_x = height * scale + padding_px, width * scale + padding_px
    sheet = np.full((rows * step_y + padding_px, columns * step_x + padding_px, channels), 255)
    sheet = sheet.astype(np.uint8)
    for index, picture in enumerate(large):
        y, x = (index // columns) * step_y + padding_px, (index % columns) * step_x + padding_px
        sheet[y : y + height * scale, x : x + width * scale] = picture
    return Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
