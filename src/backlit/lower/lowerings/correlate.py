"""Correlation, big to small: a convolution's forward, a transposed one's input gradient."""

# Shapes: big (N, C, H, W), w (K, C, kh, kw), result small (N, K, h, w).
from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from backlit.gates.base import aten
from backlit.lower.insert import kept_in_order
from backlit.lower.lowerings.base import (
    Call,
    lowering,
    opaque,
    operator,
    settings,
    with_bias,
)
from backlit.lower.lowerings.columns import channels_outer, columns, empty_pictures, matrix_of
from backlit.lower.lowerings.scratch import copied


def _like(big: Tensor, w: Tensor, size: list[int]) -> Tensor:
    return empty_pictures(big, w.shape[0], size)


def _simple(call: Call) -> bool:
    return call.simple


@opaque("correlate", "gemm", _like, _simple)
def gemm(big: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]) -> Tensor:
    """small = columns(big) Wᵀ."""
    seen = columns(big, w.shape[2:], stride, padding, size)
    return channels_outer(seen.mm(matrix_of(w).t()).view(big.shape[0], *size, -1))


def _transposed(
    big: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    return matrix_of(w).mm(columns(big, w.shape[2:], stride, padding, size).t())  # (K, P)


def _like_transposed(
    big: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    return big.new_empty(w.shape[0], big.shape[0] * math.prod(size))


_TRANSPOSED = operator("correlate_transposed", _transposed, _like_transposed, weight=True)


def _transposed_copied(call: Call) -> Any:
    return copied(_TRANSPOSED(*call.operands, None, *settings(call)))


@lowering("correlate", "gemm-transposed", _simple, timed=_transposed_copied)
def gemm_transposed(call: Call) -> Any:
    """smallᵀ = W columns(big)ᵀ: another blocking of the same product.

    It is turned in the graph: of that a compiler makes a loop over blocks of vectors, PyTorch a
    slow one.
    """
    (n, _, _, _), (k, _, _, _) = call.shapes
    z = _TRANSPOSED(*call.operands, None, *settings(call))
    z = kept_in_order(aten.t.default(z), (n * math.prod(call.size), k))
    y = aten.view.default(z, [n, *call.size, k])
    return with_bias(aten.permute.default(y, [0, 3, 1, 2]), call.bias)
