"""Operations that fall apart into gates by Backlit's own rules, where PyTorch's table has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from backlit.gates.base import aten
from backlit.graph.recurrent import UNROLLED


def bilinear(x: Tensor, y: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """z_o = xᵀ W_o y + b_o, for x (*, I), y (*, J), w (O, I, J)."""
    outputs, i, j = w.shape
    left = x.reshape(-1, i) @ w.permute(1, 0, 2).reshape(i, outputs * j)  # (rows, O J)
    z = (left.reshape(-1, outputs, j) * y.reshape(-1, 1, j)).sum(-1)
    z = z.reshape(*x.shape[:-1], outputs)
    return z if bias is None else z + bias


def cdist(x: Tensor, y: Tensor, p: float, compute_mode: int | None) -> Tensor:
    """p-norms of all differences of rows; 0 where two rows are equal has no slope."""
    return aten.linalg_vector_norm.default(x.unsqueeze(-2) - y.unsqueeze(-3), p, [-1])


def pdist(x: Tensor, p: float = 2.0) -> Tensor:
    """p-norms of the differences of each pair of rows, the first row's pairs first."""
    first, second = torch.triu_indices(x.shape[0], x.shape[0], 1, device=x.device).unbind(0)
    difference = x.index_select(0, first) - x.index_select(0, second)
    return aten.linalg_vector_norm.default(difference, p, [-1])


def var_mean(
    x: Tensor,
    dim: Sequence[int] | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
) -> tuple[Tensor, Tensor]:
    """Variance and mean over the same axes."""
    axes = list(range(x.dim())) if not dim else list(dim)
    variance = aten.var.correction(x, axes, correction=correction, keepdim=keepdim)
    return variance, aten.mean.dim(x, axes, keepdim)


def index_reduce(
    x: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Slices combined at the given indices of an axis."""
    shape = [1] * source.dim()
    if shape:
        shape[dim] = -1
    everywhere = index.reshape(shape).expand(source.shape)
    return aten.scatter_reduce.two(x, dim, everywhere, source, reduce, include_self=include_self)


def multilabel_margin_loss(x: Tensor, target: Tensor, reduction: int) -> tuple[Tensor, Tensor]:
    """Mean over the classes of max(0, 1 − x[target] + x[other]), for targets before the first −1.

    PyTorch's own decomposition counts the padding behind the −1 as class 0 (torch 2.13).
    """
    known = (target >= 0).to(torch.int64).cumprod(-1).to(torch.bool)
    index = target.masked_fill(~known, 0)
    ones = known.to(x.dtype)
    is_target = aten.scatter_add.default(torch.zeros_like(x), -1, index, ones).clamp_max(1)
    margins = (1 - x.gather(-1, index).unsqueeze(-1) + x.unsqueeze(-2)).clamp_min(0)
    counted = known.unsqueeze(-1) & (is_target == 0).unsqueeze(-2)
    loss = margins.masked_fill(~counted, 0).sum((-2, -1)) / x.shape[-1]
    if reduction:
        loss = loss.mean() if reduction == 1 else loss.sum()
    return loss, is_target


COMPOSITES: dict[Any, Callable[..., Any]] = {
    aten.bilinear.default: bilinear,
    aten._cdist_forward.default: cdist,
    aten._pdist_forward.default: pdist,
    aten.var_mean.correction: var_mean,
    aten.index_reduce.default: index_reduce,
    aten.multilabel_margin_loss_forward.default: multilabel_margin_loss,
    **UNROLLED,
}
