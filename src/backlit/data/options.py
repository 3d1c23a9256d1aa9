"""What the sources of pictures share: options checked before any work, and the background."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from PIL import ImageColor

from backlit.errors import DataError

Colour: TypeAlias = tuple[int, int, int]


def check_one_of(name: str, value: object, allowed: Iterable[object]) -> None:
    """DataError naming the allowed values unless `value` is one of them."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise DataError(f"{name}: expected one of {', '.join(map(str, allowed))}; got {value!r}")


def check_size(size: object, largest: int) -> None:
    """DataError unless `size` is an integer in 1..largest."""
    if type(size) is not int or not 1 <= size <= largest:
        raise DataError(f"size: expected 1..{largest} pixels, got {size!r}")


def to_colour(background: object) -> Colour:
    """(r, g, b) of 0..255 from such a tuple or from a colour's name ("white", "#f0f0f0")."""
    if isinstance(background, str):
        try:
            return ImageColor.getrgb(background)[:3]
        except ValueError:
            pass
    elif (
        isinstance(background, (tuple, list))
        and len(background) == 3
        and all(type(value) is int and 0 <= value <= 255 for value in background)
    ):
        return (background[0], background[1], background[2])
    raise DataError(
        f"background: expected (r, g, b) of 0..255 or a colour name, got {background!r}"
    )


def composite(pixels: np.ndarray, colour: Colour) -> np.ndarray:
    """RGBA laid over one colour: uint8 (..., 4) to uint8 (..., 3), rounded to nearest."""
    alpha = pixels[..., 3:].astype(np.uint32)
    over = pixels[..., :3] * alpha + np.array(colour, np.uint32) * (255 - alpha)
    return ((over + 127) // 255).astype(np.uint8)
