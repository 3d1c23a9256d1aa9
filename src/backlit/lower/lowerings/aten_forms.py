"""Convolution by PyTorch's own kernels: channels last, and each gate as its twin."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from backlit.gates.base import aten
from backlit.lower.lowerings.base import Call, default, lowering, value_of


def _is_tensor(x: Any) -> bool:
    return isinstance(value_of(x), torch.Tensor)


def _pictures(call: Call) -> bool:
    return len(call.size) == 2


def _channels_last(call: Call) -> Any:
    """The gate on wires that lie channels last."""
    args = tuple(
        aten.contiguous.default(x, memory_format=torch.channels_last)
        if _is_tensor(x) and value_of(x).dim() == 4
        else x
        for x in call.args
    )
    return default(dataclasses.replace(call, args=args))


for _kind in ("correlate", "spread", "weight gradient"):
    lowering(_kind, "channels-last", _pictures)(_channels_last)


def _as_transposed(call: Call) -> list[int]:
    """The output padding with which a transposed convolution is this input gradient."""
    kernel = call.shapes[1][2:]
    axes = zip(
        call.size, call.shapes[0][2:], kernel, call.stride, call.padding, call.dilation, strict=True
    )
    return [big - ((n - 1) * s - 2 * p + d * (k - 1) + 1) for big, n, k, s, p, d in axes]


@lowering(
    "spread",
    "transposed-convolution",
    lambda call: _pictures(call) and call.operator is aten.convolution_backward.default,
)
def transposed_convolution(call: Call) -> Any:
    """An input gradient as the transposed convolution it is, channels last."""
    small, w = (
        aten.contiguous.default(x, memory_format=torch.channels_last) for x in call.operands
    )
    return aten.convolution.default(
        small,
        w,
        None,
        list(call.stride),
        list(call.padding),
        list(call.dilation),
        True,
        _as_transposed(call),
        call.groups,
    )
