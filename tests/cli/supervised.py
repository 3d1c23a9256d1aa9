"""Tiny data for supervised training from the command line."""

import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image

# A few plain steps in one thread.
TINY = [
    *("--set", "train.batch=8", "--set", "train.mode=plain", "--set", "train.threads=1"),
    *("--set", "train.save_every=3", "--set", "fit.validate_every=2"),
]


def write_table(path: Path, rows: int = 60, **columns: list) -> Path:
    """A CSV with columns "width" and "height", the columns given, and "kind" last."""
    rng = np.random.default_rng(0)
    kinds = ["big" if i % 2 else "small" for i in range(rows)]
    scale = np.where(np.array(kinds) == "big", 2.0, 1.0)
    table = {
        "width": (scale + rng.normal(0, 0.2, rows)).round(3).tolist(),
        "height": (scale + rng.normal(0, 0.2, rows)).round(3).tolist(),
    }
    table |= {name: cells for name, cells in columns.items() if name != "kind"}
    table["kind"] = columns.get("kind", kinds)
    rows_ = zip(*table.values(), strict=True)
    lines = [",".join(table), *(",".join(map(str, row)) for row in rows_)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_idx(folder: Path, pictures: int = 48, size: int = 28, label: int | None = None) -> Path:
    """The four idx files: a bright row or a bright column, classes 0 and 1; `label` on the last."""
    folder.mkdir()
    for part in ("train", "t10k"):
        labels = np.arange(pictures, dtype=np.uint8) % 2
        pixels = np.zeros((pictures, size, size), np.uint8)
        pixels[labels == 0, size // 2] = 255
        pixels[labels == 1, :, size // 2] = 255
        if label is not None and part == "train":
            labels[-1] = label
        images = struct.pack(">4I", 0x803, pictures, size, size) + pixels.tobytes()
        numbers = struct.pack(">2I", 0x801, pictures) + labels.tobytes()
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(numbers)
    return folder


def write_pictures(folder: Path, each: int = 14) -> Path:
    """Two classes in sub-folders: red pictures and blue ones."""
    rng = np.random.default_rng(0)
    for name, channel in (("red", 0), ("blue", 2)):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            pixels = rng.integers(0, 60, (30, 30, 3), dtype=np.uint8)
            pixels[..., channel] += 180
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder
