"""Memory that lowerings write anew in each call, kept between calls.

Fresh memory costs a fault for each of its pages: the columns of a wide layer take ten times as
long to write as in memory that was there before.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from backlit.lower.kept_buffers import shared_buffers

# Kinds of picture whose bordered form is kept: a step has a few; with more, older steps are gone.
_MOST = 64


class _Kept(threading.local):
    """Each thread's own, so that steps that run side by side do not write over each other."""

    def __init__(self) -> None:
        self.bordered: dict[Any, Tensor] = {}


_KEPT = _Kept()


def kept_empty(*shape: int, like: Tensor) -> Tensor:
    """Uninitialised memory, given again when nobody holds it any more.

    Steps keep it, and whoever measures; while there is none of these, it is fresh.
    """
    if like.device.type != "cpu":
        return like.new_empty(shape)
    return shared_buffers()((torch.Size(shape).numel(),), (1,), like.dtype).view(shape)


def copied(x: Tensor) -> Tensor:
    """A copy in such memory: what stands for a loop where one is measured."""
    return kept_empty(*x.shape, like=x).copy_(x)


def bordered(x: Tensor, padding: Sequence[int]) -> Tensor:
    """x (N, H, W, C) with a border of zeros, which are written once and stay.

    Args:
        padding: how many rows above and below, how many columns left and right.
    """
    (n, h, w, c), (rows, columns) = x.shape, padding
    key = x.shape, tuple(padding), x.dtype
    found = _KEPT.bordered.get(key) if x.device.type == "cpu" else None
    if found is None:
        found = x.new_zeros(n, h + 2 * rows, w + 2 * columns, c)
        if x.device.type == "cpu":
            if len(_KEPT.bordered) >= _MOST:
                _KEPT.bordered.clear()
            _KEPT.bordered[key] = found
    found[:, rows : rows + h, columns : columns + w].copy_(x)
    return found


def forget() -> None:
    """Gives this thread's borders back, as after measuring, where most of them were for once."""
    _KEPT.bordered.clear()
