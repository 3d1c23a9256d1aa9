"""Spreading, small to big: a transposed convolution's forward, a plain one's input gradient."""

# Shapes: small (N, K, h, w), w (K, C, kh, kw), result big (N, C, H, W); t taps a phase.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from backlit.gates.base import aten
from backlit.lower.insert import kept_in_order
from backlit.lower.layout import WIDE
from backlit.lower.lowerings.base import (
    Call,
    lowering,
    opaque,
    operator,
    settings,
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
from backlit.lower.lowerings.scratch import copied, kept_empty, scratch


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


def _shares(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """What each pixel of small gives to each tap of the filled kernel: (N h w, kh kw C)."""
    rows, kernels = rows_of(small), matrix_of(filled(w, stride))
    return torch.mm(rows, kernels, out=kept_empty(rows.shape[0], kernels.shape[1], like=small))


def _like_shares(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    n, _, height, width = small.shape
    th, tw = taps_a_phase(w.shape[2:], stride)
    return small.new_empty(n * height * width, th * stride[0] * tw * stride[1] * w.shape[1])


_SHARES = operator("spread_shares", _shares, _like_shares, weight=True)


def _shares_copied(call: Call) -> Any:
    return copied(_SHARES(*call.operands, None, *settings(call)))


def _in_vectors(call: Call) -> bool:
    return call.shapes[1][1] >= WIDE


@lowering("spread", "gemm-adds", _covered, _in_vectors, _shares_copied)
def gemm_adds(call: Call) -> Any:
    """One product gives every tap's share; t² shifted additions bring them to their places.

    They stand in the graph: a compiler makes one loop of them, in vectors of channels.
    """
    (n, _, h, width), (_, c, *kernel) = call.shapes
    (th, tw), (sh, sw) = taps_a_phase(kernel, call.stride), call.stride
    shares = _SHARES(*call.operands, None, *settings(call))
    shares = aten.view.default(shares, [n, h, width, th, sh, tw, sw, c])
    total = None
    for i in range(th):
        for j in range(tw):
            y = aten.select.int(aten.select.int(shares, 3, i), 4, j)  # (N, h, w, sh, sw, C)
            y = aten.constant_pad_nd.default(y, [0] * 6 + [j, tw - 1 - j, i, th - 1 - i])
            y = aten.permute.default(y, [0, 1, 3, 2, 4, 5])
            y = aten.reshape.default(y, [n, (h + th - 1) * sh, (width + tw - 1) * sw, c])
            for axis, (first, many) in enumerate(zip(call.padding, call.size, strict=True), 1):
                y = aten.slice.Tensor(y, axis, first, first + many)
            total = y if total is None else aten.add.Tensor(total, y)
    # In its own precision: the compiler would keep the sum in float32, twice the memory.
    y = kept_in_order(total, (n, *call.size, c))
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
    y = scratch("places", (seen.shape[0], taps.shape[1]), small)
    torch.mm(seen, taps, out=y)
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
