"""Spreading, small to big: a transposed convolution's forward, a plain one's input gradient."""

# Shapes: small (N, K, h, w), w (K, C, kh, kw), result big (N, C, H, W); t taps a phase.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from backlit.gates.base import aten
from backlit.lower.insert import created_beside, kept_in_order
from backlit.lower.layout import WIDE
from backlit.lower.lowerings.base import (
    Call,
    lowering,
    opaque,
    operator,
    settings,
    value_of,
    with_bias,
)
from backlit.lower.lowerings.columns import (
    channels_inner,
    channels_outer,
    columns,
    empty_pictures,
    filled,
    interleave,
    matrix_of,
    phases,
    rows_of,
    taps_a_phase,
)
from backlit.lower.lowerings.scratch import copied, kept_empty


def _like(small: Tensor, w: Tensor, size: list[int]) -> Tensor:
    return empty_pictures(small, w.shape[1], size)


def _covered(call: Call) -> bool:
    """Whether every pixel of big stands within what the phases produce."""
    if not call.simple:
        return False
    (_, _, *size), (_, _, *kernel) = call.shapes
    return all(
        big + p <= s * (small + t - 1)
        for big, small, t, s, p in zip(
            call.size,
            size,
            taps_a_phase(kernel, call.stride),
            call.stride,
            call.padding,
            strict=True,
        )
    )


def _flippable(call: Call) -> bool:
    kernel = call.shapes[1][2:]
    return (
        _covered(call)
        and tuple(call.stride) == (1, 1)
        and all(p < k for p, k in zip(call.padding, kernel, strict=True))
    )


def _affine(call: Call) -> bool:
    """Whether place and phase of a pixel of big are affine in (u, v), the pixel being s u + v."""
    return _covered(call) and all(
        big % s == 0 and (s <= 2 or p % s == 0)
        for big, s, p in zip(call.size, call.stride, call.padding, strict=True)
    )


@dataclass(frozen=True)
class _Shares:
    """Where the shares lie in memory: as (N, h, w, th, sh, tw, sw, C), with a margin at both ends.

    For rows and columns: by how many numbers one pixel, tap and phase lie behind the one before.
    """

    pixel: tuple[int, int]
    tap: tuple[int, int]
    phase: tuple[int, int]
    margin: int  # what taps beside the picture are read from: any numbers

    @staticmethod
    def of(small: Sequence[int], w: Sequence[int], stride: Sequence[int]) -> _Shares:
        """Of operands of these shapes."""
        (_, _, _, width), (_, c, *kernel) = small, w
        th, tw = taps_a_phase(kernel, stride)
        phase = stride[1] * tw * c, c
        tap = stride[0] * phase[0], stride[1] * phase[1]
        one = th * tap[0]
        return _Shares((width * one, one), tap, phase, ((th - 1) * width + tw - 1) * one)


def _shares(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """What each pixel of small gives to each tap of the filled kernel, see `_Shares`."""
    rows, kernels = rows_of(small), matrix_of(filled(w, stride))
    line = kept_empty(*_like_shares(small, w, stride, padding, size).shape, like=small)
    margin = _Shares.of(small.shape, w.shape, stride).margin
    shares = line[margin : line.numel() - margin].view(rows.shape[0], kernels.shape[1])
    torch.mm(rows, kernels, out=shares)
    return line


def _like_shares(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    lie, (n, _, h, _) = _Shares.of(small.shape, w.shape, stride), small.shape
    return small.new_empty(n * h * lie.pixel[0] + 2 * lie.margin)


_SHARES = operator("spread_shares", _shares, _like_shares, weight=True)


def _shares_copied(call: Call) -> Any:
    return copied(_SHARES(*call.operands, None, *settings(call)))


def _in_vectors(call: Call) -> bool:
    return call.shapes[1][1] >= WIDE


def _reached(call: Call, axis: int, beside: Any) -> list[Any]:
    """For each tap of an axis to which rows or columns of big it comes from within small.

    Args:
        beside: what lies on the device, and in the graph, where they are asked for.
    Returns: truth values, in the shape (size / s, s) followed by ones; None for a tap that comes
        to all.
    """
    small, w = call.shapes
    s, p, size, many = (one[axis] for one in (call.stride, call.padding, call.size, small[2:]))
    device = value_of(call.operands[0]).device
    numbers = created_beside(beside, aten.arange.default, size, device=device)
    numbers = aten.view.default(numbers, [size // s, s, *[1] * (3 - 2 * axis)])
    reached = []
    for tap in range(taps_a_phase(w[2:], call.stride)[axis]):
        first, end = s * tap - p, s * (many + tap) - p
        asked = [aten.ge.Scalar(numbers, first)] if first > 0 else []
        asked += [aten.lt.Scalar(numbers, end)] if end < size else []
        reached.append(reduce(aten.logical_and.default, asked) if asked else None)
    return reached


@lowering("spread", "gemm-adds", _affine, _in_vectors, _shares_copied)
def gemm_adds(call: Call) -> Any:
    """One product gives every tap's share; t² shifted additions bring them to their places.

    They stand in the graph: a compiler makes one loop of them, in vectors of channels. To pixel
    Y of big, phase (Y + p) mod s of place (Y + p) // s, tap i comes from pixel (Y + p) // s - i of
    small. With Y = s u + v that is affine in u and v and no index is divided, which the compiler
    would take long to see through.
    """
    small, w = call.shapes
    (n, _, h, _), c = small, w[1]
    shares = _SHARES(*call.operands, None, *settings(call))
    lie = _Shares.of(small, w, call.stride)
    first, sizes, steps = lie.margin, [n], [h * lie.pixel[0]]
    for s, p, size, pixel, phase in zip(
        call.stride, call.padding, call.size, lie.pixel, lie.phase, strict=True
    ):
        at, after = (q // s * pixel + q % s * phase for q in (p, p + 1))
        first += at
        sizes += [size // s, s]
        steps += [pixel, after - at]
    total, nothing = None, aten.new_zeros.default(shares, [])
    rows, columns = (_reached(call, axis, shares) for axis in (0, 1))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            tap = i * (lie.tap[0] - lie.pixel[0]) + j * (lie.tap[1] - lie.pixel[1])
            y = aten.as_strided.default(shares, [*sizes, c], [*steps, 1], first + tap)
            inside = [one for one in (row, column) if one is not None]
            if inside:
                y = aten.where.self(reduce(aten.logical_and.default, inside), y, nothing)
            total = y if total is None else aten.add.Tensor(total, y)
    # In its own precision: the compiler would keep the sum in float32, twice the memory.
    y = aten.view.default(kept_in_order(total, (*sizes, c)), [n, *call.size, c])
    return with_bias(aten.permute.default(y, [0, 3, 1, 2]), call.bias)


@opaque("spread", "sub-pixel-gemm", _like, _covered)
def sub_pixel_gemm(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """Each phase of the stride is a correlation with t² taps; one product for all phases.

    Source: Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?".
    """
    n, k, h, width = small.shape
    parts = phases(w, stride).flip(2, 4)
    _, c, th, sh, tw, sw = parts.shape
    places = (h + th - 1, width + tw - 1)
    seen = columns(small, (th, tw), (1, 1), (th - 1, tw - 1), places)
    taps = parts.permute(2, 4, 0, 3, 5, 1).reshape(th * tw * k, -1)
    y = torch.mm(seen, taps, out=kept_empty(seen.shape[0], taps.shape[1], like=small))
    return interleave(y.view(n, *places, sh, sw, c), padding, size)


@opaque("spread", "sub-pixel", _like, _covered)
def sub_pixel(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """The same with PyTorch's convolution of stride 1."""
    parts = phases(w, stride).flip(2, 4)
    k, c, th, sh, tw, sw = parts.shape
    kernels = parts.permute(3, 5, 1, 0, 2, 4).reshape(sh * sw * c, k, th, tw)
    x = channels_outer(channels_inner(small))
    border = [th - 1, tw - 1]
    y = aten.convolution.default(x, kernels, None, [1, 1], border, [1, 1], False, [0, 0], 1)
    y = channels_inner(y)
    return interleave(y.view(*y.shape[:3], sh, sw, c), padding, size)


@opaque("spread", "flipped-gemm", _like, _flippable)
def flipped_gemm(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """Stride 1: a correlation with the flipped kernel, as one product."""
    kernel = w.shape[2:]
    border = [k - 1 - p for k, p in zip(kernel, padding, strict=True)]
    seen = columns(small, kernel, (1, 1), border, size)
    matrix = w.flip(2, 3).permute(2, 3, 0, 1).reshape(-1, w.shape[1])
    return channels_outer(seen.mm(matrix).view(small.shape[0], *size, -1))


@opaque("spread", "flipped", _like, _flippable)
def flipped(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """The same with PyTorch's convolution."""
    border = [k - 1 - p for k, p in zip(w.shape[2:], padding, strict=True)]
    kernels = w.transpose(0, 1).flip(2, 3)
    x = channels_outer(channels_inner(small))
    y = aten.convolution.default(x, kernels, None, [1, 1], border, [1, 1], False, [0, 0], 1)
    return channels_outer(channels_inner(y))
