"""The bundled Fluent Emoji: 1,522 pictures, each flat and 3D, with captions, groups and masks.

The files lie in `emoji/` beside this one; PROVENANCE.md there says how they were made.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from backlit.data.options import check_one_of, check_size, composite, to_colour
from backlit.data.pictures import PictureSet, content_key
from backlit.errors import DataError

PACK = Path(__file__).parent / "emoji"
STYLES = ("flat", "3d")
FACES = "faces"
# In a face subgroup, yet neither round nor a face like the others.
NOT_FACES = {"skull", "skull and crossbones", "face in clouds"}
FACE_SUBGROUPS = (
    "face-smiling",
    "face-affection",
    "face-tongue",
    "face-hand",
    "face-neutral-skeptical",
    "face-sleepy",
    "face-unwell",
    "face-hat",
    "face-glasses",
    "face-concerned",
    "face-negative",
)


def emoji(
    style: Literal["flat", "3d"] = "3d",
    group: str | Sequence[str] | None = None,
    size: int = 64,
    background: tuple[int, int, int] | str = (255, 255, 255),
    split: Literal["all", "train", "test"] = "all",
    by: Literal["group", "subgroup"] = "group",
) -> PictureSet:
    """The bundled Fluent Emoji; row i is the same emoji in either style.

    Args:
        style: "3d" or "flat".
        group: a group ("smileys", "people", "animals", "food", "travel", "activities", "objects",
            "symbols", "flags"), a subgroup ("face-smiling", "animal-bird", ...), "faces" (the 104
            round faces of the face subgroups), a list of these, or None for all.
        size: edge in pixels, 1..64; resized with premultiplied alpha.
        background: (r, g, b) of 0..255 or a colour name laid under the picture, or "rgba" to keep
            the alpha channel.
        split: "train" and "test" share no emoji, base code point or near duplicate.
        by: whether labels are groups or subgroups; "train" and "test" number them alike.

    Returns:
        Pictures with labels, captions ("label: tag, tag"), masks (alpha > 127) and label names.

    Raises:
        DataError: a value that is not allowed; the text names the allowed ones.
    """
    check_one_of("style", style, STYLES)
    check_one_of("split", split, ("all", "train", "test"))
    check_one_of("by", by, ("group", "subgroup"))
    rows = _pack()["pictures"]
    largest = _pack()["size_px"]
    check_size(size, largest)
    colour = None if background == "rgba" else to_colour(background)

    known = [FACES, *dict.fromkeys(row[key] for key in ("group", "subgroup") for row in rows)]
    groups = None if group is None else [group] if isinstance(group, str) else list(group)
    for one in groups or ():
        check_one_of("group", one, known)

    chosen = [index for index, row in enumerate(rows) if groups is None or _is_in(row, groups)]
    classes = tuple(dict.fromkeys(rows[index][by] for index in chosen))
    if split != "all":
        chosen = [index for index in chosen if rows[index]["split"] == split]
    if not chosen:
        raise DataError(f"emoji: group {group!r} has no pictures in split {split!r}")
    pixels = _tiles(style)[chosen]  # (N, 64, 64, 4)
    if size != largest:
        # Pillow resizes RGBA with premultiplied alpha.
        large = [Image.fromarray(tile) for tile in pixels]
        small = [tile.resize((size, size), Image.Resampling.LANCZOS) for tile in large]
        pixels = np.stack([np.asarray(tile) for tile in small])
    masks = np.where(pixels[..., 3] > 127, np.uint8(255), np.uint8(0))  # (N, H, W)
    if colour is not None:
        pixels = composite(pixels, colour)  # (N, H, W, 3)
    labels = np.array([classes.index(rows[index][by]) for index in chosen], np.int64)
    return PictureSet(
        pictures=pixels,
        labels=labels,
        classes=classes,
        captions=tuple(_caption(rows[index]) for index in chosen),
        masks=masks,
        names=tuple(rows[index]["label"] for index in chosen),
        key=content_key(hashlib.sha256(pixels.data).hexdigest(), pixels.shape, labels),
    )


def _is_in(row: dict[str, Any], groups: list[str]) -> bool:
    is_face = row["subgroup"] in FACE_SUBGROUPS and row["label"] not in NOT_FACES
    return row["group"] in groups or row["subgroup"] in groups or (is_face and FACES in groups)


def _caption(row: dict[str, Any]) -> str:
    return f"{row['label']}: {', '.join(row['tags'])}" if row["tags"] else row["label"]


@cache
def _pack() -> dict[str, Any]:
    return json.loads((PACK / "pack.json").read_text(encoding="utf-8"))


@cache
def _tiles(style: str) -> np.ndarray:
    """All tiles of a style, uint8 (N, 64, 64, 4), read-only; DataError if the file is damaged."""
    pack = _pack()
    size, columns, count = pack["size_px"], pack["columns"], len(pack["pictures"])
    file = PACK / f"{style}.webp"
    with Image.open(file) as picture:
        sheet = np.asarray(picture.convert("RGBA"))
    rows = sheet.shape[0] // size
    tiles = sheet.reshape(rows, size, columns, size, 4).swapaxes(1, 2)
    tiles = tiles.reshape(-1, size, size, 4)[:count]  # (N, 64, 64, 4)
    if hashlib.sha256(tiles.data).hexdigest() != pack["pixels_sha256"][style]:
        raise DataError(f"{file}: its pixels are not those pack.json names; install backlit again")
    tiles.flags.writeable = False
    return tiles
