"""Matrix products and bias gradients as the one call that gives them in the wanted layout."""

from __future__ import annotations

from typing import Any

from torch.fx import GraphModule

from backlit.gates.base import aten
from backlit.lower.direct.match import Rule, apply_rules
from backlit.lower.passes.common import value


def _turned(a: Any, b: Any) -> Any:
    return aten.t.default(aten.mm.default(aten.t.default(a), b))


def _turned_bias(x: Any, axes: Any, shape: Any) -> Any:
    return aten.view.default(aten.sum.dim_IntList(x, axes, True), shape)


def _sum(x: Any, axes: Any, shape: Any) -> Any:
    return aten.sum.dim_IntList(x, axes) if axes == [0] and len(shape) == 1 else None


def _summed(c: Any, a: Any, b: Any) -> Any:
    return aten.add.Tensor(c, aten.mm.default(a, b))


def _onto(c: Any, a: Any, b: Any) -> Any:
    matrices = [value(wire.node) for wire in (c, a)]
    if any(m is None or m.dim() != 2 or m.dtype != matrices[0].dtype for m in matrices):
        return None
    return aten.addmm.default(c, a, b)


_TURNED = (
    Rule(_turned, lambda a, b: aten.mm.default(aten.t.default(b), a)),
    Rule(_turned_bias, _sum),
)
_ONTO = (Rule(_summed, _onto),)


def turn_products(gm: GraphModule) -> int:
    """(aᵀ b)ᵀ becomes bᵀ a, which needs no copy to lie flat; a bias's gradient one sum.

    Args:
        gm: the flat step graph; changed in place.
    Returns: products and sums rewritten.
    """
    return apply_rules(gm, _TURNED)


def add_products(gm: GraphModule) -> int:
    """c + a b becomes one call.

    Args:
        gm: the flat step graph; changed in place.
    Returns: sums rewritten.
    """
    return apply_rules(gm, _ONTO)
