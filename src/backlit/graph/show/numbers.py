"""What is shown of an array: a few statistics, a small histogram, a small picture."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

BINS = 16
SIDE = 24  # the longest side of a small picture


@dataclass(frozen=True)
class Picture:
    """A small picture of an array: numbers from `low` to `high` as bytes 0 to 255, in base64.

    Attributes:
        rows, columns: its size; channels: 3 for a colour picture, else 1.
        of: what part of the array it shows, e.g. ``"[0, :9] in 3 × 3"``.
    """

    rows: int
    columns: int
    channels: int
    low: float
    high: float
    of: str
    pixels: str


@dataclass(frozen=True)
class Stats:
    """Numbers of one array; NaN and infinities are counted and left out of the rest.

    Attributes:
        count: how many numbers. scalar: the number itself where there is one.
        minimum, maximum, mean, norm: `norm` is Euclidean.
        zeros, nonfinite, saturated: shares in [0, 1]; saturated is None where the gate has no
            flat part.
        histogram: 16 equal bins from minimum to maximum, the fullest as 99.
    """

    count: int
    scalar: float | None
    minimum: float
    maximum: float
    mean: float
    norm: float
    zeros: float
    nonfinite: float
    saturated: float | None
    histogram: tuple[int, ...]
    picture: Picture | None = None


def stats_of(
    x: Any, slope: Tensor | None = None, pictures: bool = True, colour: bool = False
) -> Stats | None:
    """Statistics of a tensor; None for what is no tensor or is empty.

    Args:
        slope: share of its largest local gradient at every number; below 1/25 is saturated.
        pictures: make a small picture of an array.
        colour: three channels are red, green and blue.
    """
    if not isinstance(x, Tensor) or x.numel() == 0:
        return None
    x = x.detach()
    wide = x.double()
    finite = wide if bool(torch.isfinite(wide).all()) else wide[torch.isfinite(wide)]
    n = x.numel()
    nonfinite = 1 - finite.numel() / n
    if finite.numel() == 0:
        finite = torch.zeros(1, dtype=torch.float64)
    low, high = (float(v) for v in torch.aminmax(finite))
    counts: tuple[int, ...] = ()
    if n > 1 and high > low:
        # float32 is enough for a bar's height, and histc takes no wider range safely
        bins = torch.histc(((finite - low) / (high - low)).float(), BINS, 0.0, 1.0)
        counts = tuple(int(v) for v in (bins * (99 / bins.max())).ceil())
    return Stats(
        count=n,
        scalar=x.item() if n == 1 and x.dim() == 0 else None,
        minimum=low,
        maximum=high,
        mean=float(finite.mean()),
        norm=float(finite.norm()),
        zeros=1 - int(torch.count_nonzero(wide)) / n,
        nonfinite=nonfinite,
        saturated=None if slope is None else float((slope < 0.04).double().mean()),
        histogram=counts,
        picture=picture_of(wide, colour) if pictures and n > 1 else None,
    )


def picture_of(x: Tensor, colour: bool = False) -> Picture | None:
    """A small picture of an array's first sample, averaged down; channels side by side."""
    if x.dim() == 0:
        return None
    x = torch.nan_to_num(x, 0.0, 0.0, 0.0)
    of = ""
    if x.dim() > 4:
        of = "[" + ", ".join(["0"] * (x.dim() - 4)) + "] "
        x = x[(0,) * (x.dim() - 4)]
    if x.dim() == 4 and x.shape[2] * x.shape[3] == 1:  # 1 × 1 kernels and maps: a matrix
        x = x[:, :, 0, 0]
    if x.dim() == 4:
        if colour and x.shape[1] == 3 and min(x.shape[2:]) >= 8:
            rows, columns = _fit(x.shape[2], x.shape[3], 32)
            planes = adaptive_avg_pool2d(x[0], (rows, columns))
            return _pixels(planes.permute(1, 2, 0), rows, columns, 3, of + "[0]")
        x, of = x[0], of + "[0]"
    if x.dim() == 3:
        across = min(math.isqrt(x.shape[0] - 1) + 1, 4)
        down = min(math.ceil(x.shape[0] / across), 4)
        if across * down > 1:
            rows, columns = _fit(x.shape[1], x.shape[2], max(SIDE // across, 4))
            shown = min(across * down, x.shape[0])
            tiles = torch.zeros(across * down, rows, columns, dtype=x.dtype)
            tiles[:shown] = adaptive_avg_pool2d(x[:shown], (rows, columns))
            x = tiles.view(down, across, rows, columns).permute(0, 2, 1, 3)
            x = x.reshape(down * rows, across * columns)
            name = of.replace("[0]", f"[0, :{shown}]") or f"[:{shown}]"
            return _pixels(x, down * rows, across * columns, 1, f"{name} as {down} × {across}")
        x, of = x[0], of or "[0]"
    if x.dim() == 1:
        x = x[None]
    rows, columns = _fit(x.shape[0], x.shape[1], SIDE if x.shape[0] > 1 else 64)
    return _pixels(adaptive_avg_pool2d(x[None], (rows, columns))[0], rows, columns, 1, of)


def _fit(rows: int, columns: int, side: int) -> tuple[int, int]:
    return min(rows, side), min(columns, side)


def _pixels(x: Tensor, rows: int, columns: int, channels: int, of: str) -> Picture:
    low, high = (float(v) for v in torch.aminmax(x))
    scaled = ((x - low) * (255 / (high - low)) if high > low else x * 0).round()
    packed = base64.b64encode(bytes(scaled.to(torch.uint8).flatten().tolist())).decode()
    return Picture(rows, columns, channels, low, high, of, packed)
