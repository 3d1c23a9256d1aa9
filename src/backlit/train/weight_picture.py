"""The picture of what logistic regression has learned: its weights, seen as pictures."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

_EDGE_PX, _TILE_PX, _GAP_PX, _TITLE_PX, _SHOWN = 192, 90, 12, 44, 8


def weight_picture(
    weights: Tensor,
    names: Sequence[str],
    pictures: np.ndarray,
    chances: Tensor,
    labels: Tensor,
) -> Image.Image:
    """The weights of yes or no as a picture, and the samples the network is surest of.

    Red is what speaks for the second class, blue for the first: the sum of a pixel's weights over
    its channels. Beside it the weights of each channel apart. Below, the samples with the
    smallest and the largest chance of the second class (told), and those taken for the other class.

    Args:
        weights: (channels, H, W).
        names: of the two classes.
        pictures: uint8 (N, H, W, C).
        chances: of the second class, (N,).
        labels: integers 0 or 1, (N,).
    """
    panels = {f"{names[0]} blue, {names[1]} red": _heat(weights.sum(0))}
    if len(weights) == 3:
        panels |= {n: _heat(w) for n, w in zip(("red", "green", "blue"), weights, strict=True)}
    order, wrong = chances.argsort(), ((chances > 0.5) != labels.bool()).nonzero().flatten()
    chosen = {
        f"surest {names[0]}": order[:_SHOWN].tolist(),
        f"surest {names[1]}": order.flip(0)[:_SHOWN].tolist(),
        f"taken for the other: {len(wrong)} of {len(labels)}": wrong[:_SHOWN].tolist(),
    }
    width = 4 * (_EDGE_PX + _GAP_PX) + _GAP_PX
    height = _EDGE_PX + _TITLE_PX + len(chosen) * (_TILE_PX + _TITLE_PX)
    sheet = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, (title, heat) in enumerate(panels.items()):
        x = _GAP_PX + column * (_EDGE_PX + _GAP_PX)
        draw.text((x, 8), title, "black", font)
        sheet.paste(heat.resize((_EDGE_PX, _EDGE_PX), Image.Resampling.NEAREST), (x, 28))
    for row, (title, places) in enumerate(chosen.items()):
        y = _EDGE_PX + _TITLE_PX + row * (_TILE_PX + _TITLE_PX)
        draw.text((_GAP_PX, y), title, "black", font)
        for column, place in enumerate(places):
            x = _GAP_PX + column * (_TILE_PX + _GAP_PX)
            tile = Image.fromarray(pictures[place].squeeze())
            sheet.paste(tile.resize((_TILE_PX, _TILE_PX), Image.Resampling.NEAREST), (x, y + 18))
            draw.text((x, y + 20 + _TILE_PX), f"{float(chances[place]):.2f}", "#555555", font)
    return sheet


def _heat(weights: Tensor) -> Image.Image:
    """Weights (H, W) from blue over white to red, scaled to the largest."""
    share = (weights / weights.abs().max().clamp(min=1e-12)).float()
    red, blue = torch.tensor([178.0, 24.0, 43.0]), torch.tensor([33.0, 102.0, 172.0])
    end = torch.where(share[..., None] > 0, red, blue)
    colours = 255 + (end - 255) * share.abs()[..., None]  # (H, W, 3)
    return Image.fromarray(colours.round().byte().numpy())
