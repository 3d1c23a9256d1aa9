"""Correlation, big to small: a convolution's forward, a transposed one's input gradient."""

# Shapes: big (N, C, H, W), w (K, C, kh, kw), result small (N, K, h, w).
from __future__ import annotations

from torch import Tensor

from backlit.lower.lowerings.base import Call, opaque
from backlit.lower.lowerings.columns import channels_outer, columns, empty_pictures, matrix_of


def _like(big: Tensor, w: Tensor, size: list[int]) -> Tensor:
    return empty_pictures(big, w.shape[0], size)


def _simple(call: Call) -> bool:
    return call.simple


@opaque("correlate", "gemm", _like, _simple)
def gemm(big: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]) -> Tensor:
    """small = columns(big) Wᵀ."""
    seen = columns(big, w.shape[2:], stride, padding, size)
    return channels_outer(seen.mm(matrix_of(w).t()).view(big.shape[0], *size, -1))


@opaque("correlate", "gemm-transposed", _like, _simple)
def gemm_transposed(
    big: Tensor, w: Tensor, stride: list[int], padding: list[int], size: list[int]
) -> Tensor:
    """smallᵀ = W columns(big)ᵀ: another blocking of the same product."""
    seen = columns(big, w.shape[2:], stride, padding, size)
    z = matrix_of(w).mm(seen.t()).t().contiguous()  # (P, K)
    return channels_outer(z.view(big.shape[0], *size, -1))
