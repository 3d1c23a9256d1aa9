"""The picture of optimisers' paths on a loss surface."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from backlit.step.paths import Surface, optimiser_paths, surface
from backlit.train.files import write_whole

_EDGE_PX, _LEVELS = 720, 24
_COLOURS = ("#d62728", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#000000", "#e377c2")


def draw_paths(
    path: str | Path,
    on: str | Surface = "beale",
    optimisers: Mapping[str, Any] | None = None,
    steps: int = 300,
) -> dict[str, Tensor]:
    """Draw the ways optimisers take over a loss surface as one PNG.

    Bands are levels of log(1 + loss), darker where it is lower; a cross marks the minimum, a
    ring each path's end.

    Args:
        path: the file, written whole or not at all; its folder must exist.
        on, optimisers, steps: as in `backlit.step.optimiser_paths`.

    Returns:
        The paths that were drawn: label -> float64 (steps + 1, 2).

    Raises:
        RecipeError: an unknown surface or optimiser.
        RunError: the file cannot be written.
    """
    where = surface(on)
    paths = optimiser_paths(where, optimisers, steps)
    picture = Image.fromarray(_bands(where))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for row, (label, points) in enumerate(paths.items()):
        colour = _COLOURS[row % len(_COLOURS)]
        # A path that diverges is drawn as far as it can be.
        line = [_place(where, *p) for p in points.tolist() if max(map(abs, p)) < 1e3]
        draw.line(line, colour, 2, joint="curve")
        x, y = line[-1]
        draw.ellipse([x - 5, y - 5, x + 5, y + 5], outline=colour, width=2)
        draw.rectangle([12, 14 + 20 * row, 30, 24 + 20 * row], colour)
        draw.text((36, 10 + 20 * row), label, "#000000", font)
    x, y = _place(where, *where.minimum)
    draw.line([(x - 7, y - 7), (x + 7, y + 7)], "#ffffff", 3)
    draw.line([(x - 7, y + 7), (x + 7, y - 7)], "#ffffff", 3)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_whole(Path(path), buffer.getvalue(), "picture")
    return paths


def _bands(where: Surface) -> np.ndarray:
    """The surface as bands of colour, uint8 (H, W, 3)."""
    left, right, low, high = where.window
    x = torch.linspace(left, right, _EDGE_PX, dtype=torch.float64)
    y = torch.linspace(high, low, _EDGE_PX, dtype=torch.float64)
    height = torch.log1p(where.value(x[None, :], y[:, None]))  # (H, W)
    share = (height / height.max() * _LEVELS).floor() / _LEVELS
    dark, light = torch.tensor([92.0, 130.0, 170.0]), torch.tensor([250.0, 250.0, 245.0])
    colours = dark + share[..., None] ** 0.7 * (light - dark)
    return colours.round().to(torch.uint8).numpy()


def _place(where: Surface, x: float, y: float) -> tuple[float, float]:
    left, right, low, high = where.window
    place = ((x - left) / (right - left), (high - y) / (high - low))
    return tuple(part * (_EDGE_PX - 1) if math.isfinite(part) else 0.0 for part in place)  # type: ignore[return-value]
