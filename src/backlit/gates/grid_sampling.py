"""Sampling a picture or volume at given places: bilinear, nearest or bicubic.

The rule is written in elementary gates (gather, scatter_add, arithmetic) rather than PyTorch's
fused backward, which has no derivative of its own: so penalties on gradients are exact.
"""

# Shapes: x (N, C, *S), grid (N, *O, d) with the last axis of S first, z (N, C, *O).
from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from backlit.gates.base import Gate, aten
from backlit.gates.samples import Draw, Sample

_BILINEAR, _NEAREST, _BICUBIC = 0, 1, 2
_ZEROS, _BORDER, _REFLECTION = 0, 1, 2
_A = -0.75  # Keys' constant, PyTorch's choice


class Tap(NamedTuple):
    """One neighbour along one axis: its place, weight, the weight's slope, and if it is inside."""

    place: Tensor  # (N, *O), int64, within the axis
    weight: Tensor  # (N, *O)
    slope: Tensor  # derivative of the weight with respect to the grid coordinate
    inside: Tensor | None  # None where padding keeps every neighbour inside


def _position(g: Tensor, n: int, align: bool) -> tuple[Tensor, float]:
    """Pixel coordinate of a grid coordinate in [-1, 1], and its slope."""
    scale = (n - 1) / 2 if align else n / 2
    return (g + 1) * scale - (0.0 if align else 0.5), scale


def _reflect(p: Tensor, n: int, align: bool) -> tuple[Tensor, Tensor]:
    """Mirrors a coordinate at the borders until it is inside; and the sign of its slope."""
    low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
    if span == 0:
        return p * 0, p * 0
    offset = p - low
    sign = torch.where(offset < 0, -1.0, 1.0).to(p.dtype)
    distance = offset.abs()
    flips = (distance / span).floor()
    extra = distance - flips.detach() * span
    odd = flips.remainder(2) == 1
    inside = torch.where(odd, span - extra, extra) + low
    return inside, torch.where(odd, -sign, sign)


def _clip(p: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Bounds a coordinate; at and beyond the border it no longer follows the grid."""
    free = ((p > 0) & (p < n - 1)).to(p.dtype)
    return p.clamp(0, n - 1), free


def _padded(p: Tensor, n: int, padding: int, align: bool) -> tuple[Tensor, Tensor | None]:
    """The coordinate after padding, and its slope (None for 1)."""
    if padding == _ZEROS:
        return p, None
    if padding == _BORDER:
        return _clip(p, n)
    reflected, sign = _reflect(p, n, align)
    clipped, free = _clip(reflected, n)
    return clipped, free * sign


def _tap(place: Tensor, n: int, weight: Tensor, slope: Tensor, padding: int) -> Tap:
    inside = None if padding else (place >= 0) & (place <= n - 1)
    # A coordinate that is not a number reads element 0: its weight is not a number either.
    index = place.nan_to_num(0.0).clamp(0, n - 1).to(torch.int64)
    return Tap(index, weight, slope, inside)


def _cubic_taps(p: Tensor, scale: float, n: int, padding: int, align: bool) -> list[Tap]:
    """Four neighbours; each one's own place is padded. Source: Keys 1981, equation (15)."""
    low = p.detach().floor()
    t = p - low
    taps = []
    for k in range(-1, 3):
        d = t - k  # signed distance to the neighbour
        s, a = (1.0 if k <= 0 else -1.0), d.abs()
        if k in (0, 1):
            weight = ((_A + 2) * a - (_A + 3)) * a * a + 1
            slope = (3 * (_A + 2) * a - 2 * (_A + 3)) * a * s
        else:
            weight = ((a - 5) * a + 8) * a * _A - 4 * _A
            slope = ((3 * a - 10) * a + 8) * _A * s
        place = _padded(low + k, n, padding, align)[0].round()
        taps.append(_tap(place, n, weight, slope * scale, padding))
    return taps


def _taps(g: Tensor, n: int, mode: int, padding: int, align: bool) -> list[Tap]:
    """The neighbours along one axis of n pixels for grid coordinates g."""
    p, scale = _position(g, n, align)
    if mode == _BICUBIC:
        return _cubic_taps(p, scale, n, padding, align)
    p, slope = _padded(p, n, padding, align)
    follow = torch.full_like(p, scale) if slope is None else slope * scale
    if mode == _NEAREST:
        one = torch.ones_like(p)
        return [_tap(p.detach().round(), n, one, one * 0, padding)]
    low = p.detach().floor()
    # The upper neighbour of the last pixel has weight 0 and is clamped onto it.
    return [
        _tap(low, n, low + 1 - p, -follow, padding),
        _tap(low + 1, n, p - low, follow, padding),
    ]


def _product(factors: Sequence[Tensor]) -> Tensor:
    return math.prod(factors[1:], start=factors[0])


class _GridSample(Gate):
    """Reads x at the grid's places, between its elements by weights."""

    formula = "z = Σ weight(grid) x over the neighbours"
    local = "dx = weight dz added at the neighbours, dgrid = Σ weight′ x dz"
    axes: ClassVar[int]

    @classmethod
    def backward(cls, dz, z, x, grid, mode, padding, align):
        sizes = x.shape[2:]
        lead, outer = tuple(x.shape[:2]), math.prod(grid.shape[1:-1])
        # The grid's last axis runs x, y, z: the last axis of the picture first.
        axes = [
            _taps(grid.select(-1, cls.axes - 1 - i), n, mode, padding, align)
            for i, n in enumerate(sizes)
        ]

        def neighbours() -> Any:
            for taps in itertools.product(*axes):
                flat = taps[0].place
                for tap, n in zip(taps[1:], sizes[1:], strict=True):
                    flat = flat * n + tap.place
                known = [tap.inside for tap in taps if tap.inside is not None]
                inside = _product([k.to(dz.dtype) for k in known]) if known else None
                yield taps, flat.reshape(lead[0], 1, outer).expand(*lead, outer), inside

        def keep(t, inside):  # (N, *O)
            return t if inside is None else t * inside

        def to_x():
            total = aten.new_zeros.default(dz, [*lead, math.prod(sizes)])
            for taps, flat, inside in neighbours():
                weight = keep(_product([tap.weight for tap in taps]), inside).unsqueeze(1)
                part = (dz * weight).reshape(*lead, outer)
                total = aten.scatter_add.default(total, 2, flat, part)
            return total.reshape(x.shape)

        def to_grid():
            pixels = x.reshape(*lead, math.prod(sizes))
            totals: list[Any] = [0.0] * cls.axes
            for taps, flat, inside in neighbours():
                read = aten.gather.default(pixels, 2, flat).reshape(dz.shape)
                reached = keep((read * dz).sum(1), inside)
                for i, tap in enumerate(taps):
                    others = [t.weight for j, t in enumerate(taps) if j != i]
                    totals[i] = totals[i] + reached * _product([tap.slope, *others])
            return torch.stack(totals[::-1], -1)

        return to_x, to_grid

    @classmethod
    def samples(cls, r: Draw):
        d = cls.axes
        for mode, padding, align in _CASES[: 6 if d == 2 else 5]:
            yield Sample((r(1, 2, *(3, 4, 3)[:d]), _places(r, d, 1, 2), mode, padding, align))
        yield Sample((r.strided(2, 1, *(4, 3, 2)[:d]), _places(r, d, 2, 2), 0, 0, False))
        yield Sample((r(2, 1, *(2, 3, 2)[:d]), _places(r, d, 2, 1), 0, 1, False))
        yield Sample((r(0, 2, *(3, 3, 3)[:d]), _places(r, d, 0, 2), 0, 0, False))


_CASES = (
    (_BILINEAR, _ZEROS, False),
    (_BILINEAR, _BORDER, True),
    (_BILINEAR, _REFLECTION, False),
    (_BILINEAR, _REFLECTION, True),
    (_NEAREST, _ZEROS, True),
    (_BICUBIC, _REFLECTION, True),
)


def _places(r: Draw, d: int, n: int, side: int) -> Tensor:
    """Grid coordinates within and beyond the borders, none near a kink."""
    return r.apart(n, *[side] * d, d, scale=3.1) * 0.97


class GridSample2d(_GridSample):
    """Reads a picture at the grid's places."""

    forward = aten.grid_sampler_2d.default
    axes = 2


class GridSample3d(_GridSample):
    """Reads a volume at the grid's places."""

    forward = aten.grid_sampler_3d.default
    axes = 3
