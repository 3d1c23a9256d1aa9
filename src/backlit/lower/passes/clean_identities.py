"""Identity cleaning: copies, casts and arithmetic that give back what they were given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.passes.common import instead, pure_gates, replace_where, value

_COPIES = {aten.clone.default: 0, aten.copy.default: 1, aten._to_copy.default: 0}


def clean_identities(gm: GraphModule) -> int:
    """Removes copies nobody writes to, casts to the same type or up and back, x · 1, x / 1, x - 0.

    x + 0 goes for integers alone: of floating numbers it turns -0 into 0.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gates removed; the inner cast of a joined pair is left to `dead_gates`.
    """
    for node in pure_gates(gm.graph):
        if node.target is aten._to_copy.default:
            _join_casts(node)
    return replace_where(gm, _same)


def _same(node: Node) -> Node | None:
    """The input whose values a gate gives back, if it is such a gate."""
    args: Any = node.args
    if node.target in _COPIES:
        return args[_COPIES[node.target]]
    if len(args) < 2 or node.kwargs or not isinstance(args[0], Node):
        return None
    x, other = args[0], args[1]
    floating = isinstance(value(x), Tensor) and value(x).is_floating_point()
    neutral: dict[Any, Any] = {
        aten.mul.Tensor: 1,
        aten.div.Tensor: 1 if floating else None,
        aten.pow.Tensor_Scalar: 1,
        aten.sub.Tensor: 0,
        aten.add.Tensor: None if floating else 0,
    }
    if isinstance(other, Node) or neutral.get(node.target) is None:
        return None
    # x - (-0.0) is x + 0.0
    return x if other == neutral[node.target] and str(other) != "-0.0" else None


def _join_casts(node: Node) -> None:
    """Lets a cast of a cast that lost nothing cast the first value itself."""
    inner: Any = node.args[0]
    if inner.op != "call_function" or inner.target is not aten._to_copy.default:
        return
    source: Any = inner.args[0]
    kinds = [value(wire).dtype for wire in (source, inner)]
    same_kind = all(kind.is_floating_point for kind in kinds)
    if same_kind and torch.promote_types(*kinds) == kinds[1] and set(inner.kwargs) == {"dtype"}:
        if value(source).stride() == value(inner).stride():
            instead(node, node.target, source, **node.kwargs)
