"""Products of matrices: the transposed problem, and operands brought into order first."""

# Shapes: a (n, k), b (k, m); linear: x (..., i), w (o, i).
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backlit.gates.base import aten
from backlit.lower.lowerings.base import Call, lowering, value_of


def _out_of_order(call: Call) -> bool:
    return not all(value_of(operand).is_contiguous() for operand in call.operands[-2:])


def _ordered(x: Any) -> Any:
    return aten.contiguous.default(x)


def _transposed(a: Any, b: Any) -> Any:
    return aten.t.default(aten.mm.default(aten.t.default(b), aten.t.default(a)))


@lowering("mm", "transposed")
def mm_transposed(call: Call) -> Any:
    """Zᵀ = Bᵀ Aᵀ."""
    return _transposed(*call.operands)


@lowering("mm", "in-order", _out_of_order)
def mm_ordered(call: Call) -> Any:
    """Transposed operands are copied before the product."""
    a, b = call.operands
    return aten.mm.default(_ordered(a), _ordered(b))


@lowering("addmm", "transposed", lambda call: len(call.args) == 3)
def addmm_transposed(call: Call) -> Any:
    """Zᵀ = Bᵀ Aᵀ, then the bias."""
    c, a, b = call.operands
    return aten.add.Tensor(_transposed(a, b), c)


@lowering("addmm", "apart", lambda call: len(call.args) == 3)
def addmm_apart(call: Call) -> Any:
    """The bias added apart, where a compiler fuses it with what follows."""
    c, a, b = call.operands
    return aten.add.Tensor(aten.mm.default(a, b), c)


@lowering("bmm", "transposed")
def bmm_transposed(call: Call) -> Any:
    """Zᵀ = Bᵀ Aᵀ for each element of the batch."""
    a, b = (aten.transpose.int(x, 1, 2) for x in call.operands)
    return aten.transpose.int(aten.bmm.default(b, a), 1, 2)


@lowering("bmm", "in-order", _out_of_order)
def bmm_ordered(call: Call) -> Any:
    """Transposed operands are copied before the product."""
    a, b = call.operands
    return aten.bmm.default(_ordered(a), _ordered(b))


def _linear(call: Call, product: Callable[[Any, Any], Any]) -> Any:
    x, w, *bias = call.operands
    shape, (o, i) = value_of(x).shape, value_of(w).shape
    z = product(aten.reshape.default(x, [-1, i]), aten.t.default(w))
    z = aten.reshape.default(z, [*shape[:-1], o])
    return z if not bias or bias[0] is None else aten.add.Tensor(z, bias[0])


def _has_rows(call: Call) -> bool:
    return value_of(call.operands[0]).numel() > 0


@lowering("linear", "mm", _has_rows)
def linear_mm(call: Call) -> Any:
    """Z = X Wᵀ as a product of two matrices, the bias added apart."""
    return _linear(call, aten.mm.default)


@lowering("linear", "transposed", _has_rows)
def linear_transposed(call: Call) -> Any:
    """Zᵀ = W Xᵀ, the bias added apart."""
    return _linear(call, _transposed)
