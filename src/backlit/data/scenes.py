"""Emoji pasted on backgrounds, with a box around each: pictures for detection.

Shapes: N pictures of 3 S S, M places for objects in each, C kinds of object.
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from backlit.data.chance import Chance
from backlit.data.fluent import emoji
from backlit.data.labelled import Labelled, split
from backlit.data.options import check_size
from backlit.errors import DataError

KINDS = ("dog face", "red apple", "automobile", "soccer ball", "sunflower", "rocket")
_TRIES = 20  # for a place that covers no other object; then the object is left out


def emoji_boxes(
    n: int = 1500,
    size: int = 64,
    most: int = 3,
    kinds: Sequence[str] = KINDS,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Labelled:
    """Pictures of up to `most` emoji on a coloured background, a pure function of the arguments.

    Each emoji has a third to two thirds of the edge, stands anywhere, and covers no other by more
    than a tenth. One picture in `most` + 1 is empty: a detector must also find nothing.

    Args:
        n: pictures.
        size: edge in pixels, 16..256.
        most: objects in a picture at most, 1..8.
        kinds: labels of the bundled emoji ("dog face"), at least 2: the classes.
        validation, test: shares of the pictures; they show the same emoji in other places.
        seed: decides everything.

    Returns:
        inputs float32 (N, 3, S, S) in [-1, 1]; targets float32 (N, M, 4 + C), of each object
        x1, y1, x2, y2 in shares of the edge and a 1 for its kind; rows of zeros hold no object.

    Raises:
        DataError: an unknown emoji, or a number that is not allowed.
    """
    check_size(size, 256)
    if size < 16 or n < 1 or not 1 <= most <= 8:
        raise DataError(
            f"emoji-boxes: expected size of 16..256, n of at least 1 and most of 1..8, got size"
            f" {size}, n {n}, most {most}"
        )
    objects = _objects(kinds)
    pictures = np.empty((n, size, size, 3), np.uint8)
    targets = np.zeros((n, most, 4 + len(objects)), np.float32)
    for index in range(n):
        chance = Chance(seed, index)
        canvas = _background(chance, size)
        boxes: list[tuple[int, int, int, int]] = []
        for _ in range(chance.below(most + 1)):
            kind = chance.below(len(objects))
            box = _paste(canvas, objects[kind], boxes, chance)
            if box is not None:
                targets[index, len(boxes), :4] = np.array(box) / size
                targets[index, len(boxes), 4 + kind] = 1
                boxes.append(box)
        noise = chance.uniform(-8, 8, size, size, 1)
        pictures[index] = (np.asarray(canvas) + noise).round().clip(0, 255)
    train, held, tested = split(n, validation, test, seed)
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2)  # (N, C, H, W)
    half = torch.full((3, 1, 1), 0.5)
    return Labelled(
        name="emoji-boxes",
        inputs=pixels.float().div_(127.5).sub_(1).contiguous(),
        targets=torch.from_numpy(targets),
        classes=tuple(kinds),
        train=train,
        validation=held,
        test=tested,
        facts=(
            f"{int(targets[..., 4:].sum())} emoji of {len(objects)} kinds pasted on made-up"
            " backgrounds; the parts share the emoji, not the pictures",
        ),
        mean=half,
        std=half,
    )


def _objects(kinds: Sequence[str]) -> list[Image.Image]:
    pack = emoji("3d", size=64, background="rgba")
    places = {name: index for index, name in enumerate(pack.names)}
    unknown = [kind for kind in kinds if kind not in places]
    if unknown or len(set(kinds)) != len(kinds) or len(kinds) < 2:
        raise DataError(
            "emoji-boxes: expected at least 2 different labels of bundled emoji as kinds, such as"
            f" {', '.join(KINDS[:2])}; got {', '.join(map(repr, unknown or kinds))}"
        )
    tiles = [Image.fromarray(pack.pictures[places[kind]]) for kind in kinds]
    # Cut to what is seen, so that the pasted picture's edge is the box.
    return [
        tile.crop(tile.getchannel("A").point(lambda a: 255 * (a > 127)).getbbox()) for tile in tiles
    ]


def _background(chance: Chance, size: int) -> Image.Image:
    """Soft blobs of colour with a few hard-edged bars, which are nothing to be found."""
    coarse = chance.uniform(40, 256, 4, 4, 3).astype(np.uint8)
    canvas = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    for _ in range(chance.below(4)):
        width, height = (int(s) for s in chance.uniform(2, size / 3, 2))
        x, y = (int(p) for p in chance.uniform(0, size, 2))
        colour = tuple(int(c) for c in chance.uniform(0, 256, 3))
        canvas.paste(colour, (x, y, x + width, y + height))
    return canvas


def _paste(
    canvas: Image.Image,
    tile: Image.Image,
    others: Sequence[tuple[int, int, int, int]],
    chance: Chance,
) -> tuple[int, int, int, int] | None:
    """Paste a tile where it is free and return its box in pixels, None where no place is."""
    size = canvas.width
    for _ in range(_TRIES):
        scale = float(chance.uniform(1 / 3, 2 / 3)) * size / max(tile.size)
        width, height = (max(1, round(side * scale)) for side in tile.size)
        x, y = chance.below(size - width + 1), chance.below(size - height + 1)
        box = (x, y, x + width, y + height)
        if all(_covered(box, other) <= 0.1 for other in others):
            small = tile.resize((width, height), Image.Resampling.LANCZOS)
            canvas.paste(small, (x, y), small)
            return box
    return None


def _covered(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """How much of the smaller box the other covers."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / min(areas)
