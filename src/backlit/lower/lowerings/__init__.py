"""For each costly gate several equal ways to compute it."""

from backlit.lower.lowerings import (
    aten_forms,
    correlate,
    float32,
    products,
    spread,
    weight_gradient,
)
from backlit.lower.lowerings.base import (
    DEFAULT,
    KINDS,
    LOWERINGS,
    Call,
    Lowering,
    call_of,
    lowering,
    opaque,
    value_of,
)

__all__ = [
    "DEFAULT",
    "KINDS",
    "LOWERINGS",
    "Call",
    "Lowering",
    "aten_forms",
    "call_of",
    "correlate",
    "float32",
    "lowering",
    "opaque",
    "products",
    "spread",
    "value_of",
    "weight_gradient",
]
