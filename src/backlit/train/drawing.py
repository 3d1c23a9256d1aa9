"""What the result pictures share: pixels of a batch, colours, one way to write a PNG."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from backlit.data import Labelled
from backlit.train.files import write_whole

COLOURS = (
    "#1f77b4",
    "#d62728",
    "#2ca02c",
    "#9467bd",
    "#ff7f0e",
    "#17becf",
    "#e377c2",
    "#8c564b",
    "#bcbd22",
    "#7f7f7f",
)


def pixels(data: Labelled, inputs: Tensor) -> np.ndarray:
    """Pictures of a data set as they were before standardising, uint8 (N, H, W, C)."""
    mean = 0.0 if data.mean is None else data.mean
    std = 1.0 if data.std is None else data.std
    raw = ((inputs * std + mean) * 255).round().clamp(0, 255)
    return raw.byte().permute(0, 2, 3, 1).contiguous().numpy()


def write_png(path: Path, picture: Image.Image) -> Path:
    """Write a picture as PNG, whole or not at all, and return its path.

    Raises:
        RunError: the file cannot be written.
    """
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    write_whole(path, buffer.getvalue(), "picture")
    return path
