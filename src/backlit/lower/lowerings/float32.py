"""Half precision by way of float32: where a machine's bfloat16 kernels are slow or missing."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from backlit.gates.base import aten
from backlit.lower.lowerings.base import KINDS, Call, default, lowering, value_of
from backlit.lower.machine import fast_bfloat16

_HALVES = (torch.bfloat16, torch.float16)


def _is_half(call: Call) -> bool:
    return value_of(call.operands[0]).dtype in _HALVES


def _is_slow(call: Call) -> bool:
    operand = value_of(call.operands[0])
    return operand.dtype != torch.bfloat16 or not fast_bfloat16(operand.device)


def _float32(call: Call) -> Any:
    """The gate on operands widened to float32, its result rounded once."""
    dtype = value_of(call.operands[0]).dtype

    def wide(x: Any) -> Any:
        is_half = isinstance(value_of(x), torch.Tensor) and value_of(x).dtype in _HALVES
        return aten._to_copy.default(x, dtype=torch.float32) if is_half else x

    z = default(dataclasses.replace(call, args=tuple(map(wide, call.args))))
    return aten._to_copy.default(z, dtype=dtype)


for _kind in KINDS:
    lowering(_kind, "float32", _is_half, _is_slow)(_float32)
