"""The picture of what a detector found."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from backlit.train.drawing import COLOURS

_GAP_PX, _CAPTION_PX = 6, 26


def box_picture(
    pictures: np.ndarray,
    targets: Tensor,
    found: Sequence[Tensor],
    kinds: Sequence[str],
    columns: int = 4,
) -> Image.Image:
    """Pictures with the true boxes in white and the found ones in colour, named and with their
    probability.

    Args:
        pictures: uint8 (N, H, W, 3).
        targets: (N, M, 4 + C), boxes in shares of the edge; rows of zeros for no object.
        found: N times (K, 6), as `backlit.supervised.detections` gives them.
        kinds: names of the C kinds.
        columns: pictures in a row, default 4.
    """
    height, width = pictures.shape[1:3]
    scale = max(1, 192 // max(height, width))
    wide, high = width * scale, height * scale
    rows = -(-len(pictures) // columns)
    sheet = Image.new(
        "RGB",
        (columns * (wide + _GAP_PX) - _GAP_PX, rows * (high + _GAP_PX) - _GAP_PX + _CAPTION_PX),
        "white",
    )
    font = ImageFont.load_default(11)
    for index, (picture, target, boxes) in enumerate(zip(pictures, targets, found, strict=True)):
        tile = Image.fromarray(picture).resize((wide, high), Image.Resampling.NEAREST)
        draw = ImageDraw.Draw(tile)
        for true in target[target[:, 4:].any(1), :4].tolist():
            draw.rectangle(_corners(true, wide, high), outline="white", width=2)
        for x1, y1, x2, y2, sure, kind in boxes.tolist():
            colour = COLOURS[int(kind) % len(COLOURS)]
            left, top, right, bottom = _corners((x1, y1, x2, y2), wide, high)
            draw.rectangle((left, top, right, bottom), outline=colour, width=2)
            text = f"{kinds[int(kind)]} {sure:.2f}"
            # Above the box, or inside it at the picture's upper edge.
            place = (left, top - 14) if top >= 14 else (left, top)
            draw.rectangle(
                (*place, place[0] + draw.textlength(text, font) + 5, place[1] + 14), colour
            )
            draw.text((place[0] + 3, place[1] + 1), text, "white", font)
        row, column = divmod(index, columns)
        sheet.paste(tile, (column * (wide + _GAP_PX), row * (high + _GAP_PX)))
    caption = "white: the true box; in colour: found, with its kind and probability"
    ImageDraw.Draw(sheet).text(
        (2, sheet.height - _CAPTION_PX + 6), caption, "black", ImageFont.load_default(13)
    )
    return sheet


def _corners(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return x1 * (width - 1), y1 * (height - 1), x2 * (width - 1), y2 * (height - 1)
