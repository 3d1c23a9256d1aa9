"""The picture of a supervised run: training and validation curves."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from backlit.train.files import write_whole

Curve = Sequence[tuple[int, float]]
_COLOURS = ((31, 119, 180), (214, 94, 20), (150, 150, 150))
_WIDTH_PX, _HEIGHT_PX, _LEFT_PX, _PAD_PX = 720, 300, 64, 34


def write_curves(
    path: Path,
    panels: Mapping[str, Mapping[str, Curve]],
    mark: int | Mapping[str, int | None] | None = None,
    start: float = 0,
    same_scale: bool = False,
) -> None:
    """Draw curves over the steps, a panel above the other, as one PNG.

    Args:
        path: the file, written whole or not at all.
        panels: title -> name of the curve -> (step, value); values that are not finite are left
            out, long curves are averaged to a point for every two pixels.
        mark: a step to mark with a line ("best"), in every panel or for each title its own.
        start: the step at the left; default 0.
        same_scale: draw all panels over the same values, from 0 on; default False.

    Raises:
        RunError: the file cannot be written.
    """
    picture = Image.new("RGB", (_WIDTH_PX, _HEIGHT_PX * len(panels)), "white")
    every = [v for curves in panels.values() for c in curves.values() for _, v in c]
    finite = [value for value in every if math.isfinite(value)]
    span = (min(0.0, *finite), max(finite)) if same_scale and finite else None
    for row, (title, curves) in enumerate(panels.items()):
        marked = mark.get(title) if isinstance(mark, Mapping) else mark
        _panel(picture, row * _HEIGHT_PX, title, curves, marked, start, span)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_whole(path, buffer.getvalue(), "picture")


def _panel(
    picture: Image.Image,
    top_px: int,
    title: str,
    curves: Mapping[str, Curve],
    mark: int | None,
    start: float,
    span: tuple[float, float] | None,
) -> None:
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    finite = {n: thinned([p for p in c if math.isfinite(p[1])]) for n, c in curves.items()}
    points = [point for curve in finite.values() for point in curve]
    if not points:
        return
    last = max(step for step, _ in points)
    last += last == start
    low, high = span or (min(v for _, v in points), max(v for _, v in points))
    if high == low:
        low, high = low - 0.5, high + 0.5
    left, right = _LEFT_PX, _WIDTH_PX - _PAD_PX
    top, bottom = top_px + _PAD_PX, top_px + _HEIGHT_PX - _PAD_PX

    def place(step: float, value: float) -> tuple[float, float]:
        x = left + (right - left) * (step - start) / (last - start)
        return x, bottom - (bottom - top) * (value - low) / (high - low)

    for part in range(5):
        value = low + (high - low) * part / 4
        y = place(start, value)[1]
        draw.line([(left, y), (right, y)], (225, 225, 225))
        draw.text((left - 6, y), f"{value:.3g}", (70, 70, 70), font, anchor="rm")
    for part in range(5):
        step = start + (last - start) * part / 4
        where = (place(step, low)[0], bottom + 5)
        draw.text(
            where, f"{step:.0f}" if start else f"{step:,.0f}", (70, 70, 70), font, anchor="ma"
        )
    if mark is not None:
        x = place(mark, low)[0]
        draw.line([(x, top), (x, bottom)], (120, 120, 120))
        draw.text((x + 3, top), f"best: step {mark:,}", (70, 70, 70), font)
    draw.text((left, top_px + 10), title, (0, 0, 0), font)
    x = left + max(110, draw.textlength(title, font) + 24)
    for (name, curve), colour in zip(finite.items(), _COLOURS * 4, strict=False):
        if len(curve) > 1:
            draw.line([place(*point) for point in curve], colour, 2, joint="curve")
        for point in curve if len(curve) <= 40 else ():
            cx, cy = place(*point)
            draw.ellipse([cx - 2.5, cy - 2.5, cx + 2.5, cy + 2.5], colour)
        draw.line([(x, top_px + 18), (x + 18, top_px + 18)], colour, 3)
        draw.text((x + 24, top_px + 10), name, (0, 0, 0), font)
        x += 44 + 8 * len(name)


def thinned(curve: Curve, most: int = _WIDTH_PX // 2) -> Curve:
    """A curve of at most about `most` points, each the mean of its neighbours."""
    size = -(-len(curve) // most) if curve else 1
    groups = [curve[i : i + size] for i in range(0, len(curve), size)]
    return [(group[-1][0], sum(v for _, v in group) / len(group)) for group in groups]
