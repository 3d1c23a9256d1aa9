"""The weight gradient of a convolution, plain or transposed, as a product over pixels."""

# Shapes: big (N, C, H, W), small (N, K, h, w), result (K, C, kh, kw); P = N h w.
from __future__ import annotations

from typing import Any

from torch import Tensor

from backlit.gates.base import aten
from backlit.lower.insert import kept_in_order
from backlit.lower.lowerings.base import Call, lowering, opaque, operator, settings
from backlit.lower.lowerings.columns import channels_outer, columns, rows_of
from backlit.lower.lowerings.scratch import copied


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


def _of_turned(
    big: Tensor, turned: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    seen = columns(big, size, stride, padding, turned.shape[2:])
    return channels_outer(turned.flatten(1).mm(seen).view(turned.shape[0], *size, -1))


def _like_of_turned(
    big: Tensor, turned: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    return channels_outer(big.new_empty(turned.shape[0], *size, big.shape[1]))


_OF_TURNED = operator("weight_gradient_of_turned", _of_turned, _like_of_turned, weight=False)


def _copied_of_turned(call: Call) -> Any:
    big, small = call.operands
    n, k, h, w = small.shape
    turned = copied(rows_of(small)).view(k, n, h, w)
    return _OF_TURNED(big, turned, None, *settings(call))


@lowering("weight gradient", "gemm-turned", _simple, timed=_copied_of_turned)
def gemm_turned(call: Call) -> Any:
    """The same with both operands' pixels made contiguous first, `small` in the graph."""
    big, small = call.operands
    n, k, h, w = call.shapes[1]
    rows = aten.reshape.default(aten.permute.default(small, [0, 2, 3, 1]), [n * h * w, k])
    turned = kept_in_order(aten.t.default(rows), (k, n * h * w))
    turned = aten.view.default(turned, [k, n, h, w])
    return _OF_TURNED(big, turned, None, *settings(call))


@opaque("weight gradient", "gemm-transposed", _like, _simple)
def gemm_transposed(
    big: Tensor, small: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """dWᵀ = columns(big)ᵀ small."""
    dw = _seen(big, small, stride, padding, size).t().mm(rows_of(small))  # (kh kw C, K)
    return channels_outer(dw.t().contiguous().view(small.shape[1], *size, -1))
