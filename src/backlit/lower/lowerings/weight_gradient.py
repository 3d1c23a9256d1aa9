"""The weight gradient of a convolution, plain or transposed, as a product over pixels."""

# Shapes: big (N, C, H, W), small (N, K, h, w), result (K, C, kh, kw); P = N h w.
from __future__ import annotations

from torch import Tensor

from backlit.lower.lowerings.base import Call, opaque
from backlit.lower.lowerings.columns import channels_outer, columns, rows_of


def _like(big: Tensor, small: Tensor, size: list[int]) -> Tensor:
    return channels_outer(big.new_empty(small.shape[1], *size, big.shape[1]))


def _simple(call: Call) -> bool:
    return call.simple


def _seen(
    big: Tensor, small: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    return columns(big, size, stride, padding, small.shape[2:])  # (P, kh kw C)


@opaque("weight gradient", "gemm", _like, _simple)
def gemm(
    big: Tensor, small: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """dW = smallᵀ columns(big)."""
    dw = rows_of(small).t().mm(_seen(big, small, stride, padding, size))
    return channels_outer(dw.view(small.shape[1], *size, -1))


@opaque("weight gradient", "gemm-turned", _like, _simple)
def gemm_turned(
    big: Tensor, small: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """The same with both operands' pixels made contiguous first."""
    pixels = rows_of(small).t().contiguous()  # (K, P)
    dw = pixels.mm(_seen(big, small, stride, padding, size))
    return channels_outer(dw.view(small.shape[1], *size, -1))


@opaque("weight gradient", "gemm-transposed", _like, _simple)
def gemm_transposed(
    big: Tensor, small: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """dWᵀ = columns(big)ᵀ small."""
    dw = _seen(big, small, stride, padding, size).t().mm(rows_of(small))  # (kh kw C, K)
    return channels_outer(dw.t().contiguous().view(small.shape[1], *size, -1))
