"""Spreading, small to big: a transposed convolution's forward, a plain one's input gradient."""

# Shapes: small (N, K, h, w), w (K, C, kh, kw), result big (N, C, H, W); t taps a phase.
from __future__ import annotations

import torch
from torch import Tensor

from backlit.gates.base import aten
from backlit.lower.lowerings.base import Call, opaque
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
)
from backlit.lower.lowerings.scratch import scratch


def _like(small: Tensor, w: Tensor, size: list[int]) -> Tensor:
    return empty_pictures(small, w.shape[1], size)


def _covered(call: Call) -> bool:
    """Whether every pixel of big stands within what the phases produce."""
    if not call.simple:
        return False
    (_, _, *size), (_, _, *kernel) = call.shapes
    return all(
        big + p <= s * (small + -(-k // s) - 1)
        for big, small, k, s, p in zip(
            call.size, size, kernel, call.stride, call.padding, strict=True
        )
    )


def _flippable(call: Call) -> bool:
    kernel = call.shapes[1][2:]
    return (
        _covered(call)
        and tuple(call.stride) == (1, 1)
        and all(p < k for p, k in zip(call.padding, kernel, strict=True))
    )


@opaque("spread", "gemm-adds", _like, _covered)
def gemm_adds(
    small: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """One product gives every tap's share; t² shifted additions bring them to their places."""
    n, _, h, width = small.shape
    w = filled(w, stride)
    c, (sh, sw) = w.shape[1], stride
    th, tw = w.shape[2] // sh, w.shape[3] // sw
    rows, taps = rows_of(small), matrix_of(w)
    # No lowering needs both its columns and its shares.
    shares = scratch("columns", (rows.shape[0], taps.shape[1]), small)
    torch.mm(rows, taps, out=shares)
    shares = shares.view(n, h, width, th, sh, tw, sw, c)
    y = scratch("places", (n, h + th - 1, sh, width + tw - 1, sw, c), small)
    y[:, h:] = 0
    y[:, :h, :, width:] = 0
    for i in range(th):
        for j in range(tw):
            place, share = y[:, i : i + h, :, j : j + width], shares[:, :, :, i, :, j]
            if i or j:
                place += share.transpose(2, 3)
            else:
                place.copy_(share.transpose(2, 3))
    top, left = padding
    y = y.view(n, -1, y.shape[3] * sw, c)
    seen = y[:, top : top + size[0], left : left + size[1]]
    return channels_outer(seen.clone(memory_format=torch.contiguous_format))


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
