"""Common subexpressions: the same gate on the same wires is computed once."""

from __future__ import annotations

import operator
from typing import Any

from torch._ops import OpOverload
from torch.fx import GraphModule, Node

from backlit.lower.passes.common import pure_gates, replace, same_layout, value


def common_subexpressions(gm: GraphModule) -> int:
    """Merges gates of equal operation, inputs and settings; never across a write or noise.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gates removed.
    """
    first: dict[Any, Node] = {}
    removed = 0
    for node in pure_gates(gm.graph):
        if node.target is not operator.getitem and not isinstance(node.target, OpOverload):
            continue
        earlier = first.setdefault((node.target, _key(node.args), _key(node.kwargs)), node)
        if earlier is not node and _same(earlier, node):
            removed += replace(node, earlier)
    return removed


def _same(a: Node, b: Node) -> bool:
    values = value(a), value(b)
    parts = [v if isinstance(v, (tuple, list)) else (v,) for v in values]
    return all(x is y or same_layout(x, y) for x, y in zip(*parts, strict=True))


def _key(argument: Any) -> Any:
    """The argument as a dictionary key; 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(argument, Node):
        return argument
    if isinstance(argument, (list, tuple)):
        return tuple(_key(part) for part in argument)
    if isinstance(argument, dict):
        return tuple((name, _key(part)) for name, part in sorted(argument.items()))
    return type(argument), repr(argument)
