"""Part cleaning: a part of what was stacked is what was stacked there."""

from __future__ import annotations

from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.passes.common import replace_where, value


def clean_parts(gm: GraphModule) -> int:
    """Removes what takes one element out of a stack again, such as the last time step's output.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gates removed; a stack of which nobody takes more is left to `dead_gates`.
    """
    return replace_where(gm, _stacked)


def _stacked(node: Node) -> Node | None:
    """What was stacked where a gate selects, if it selects from a stack."""
    if node.target is not aten.select.int:
        return None
    source, axis, at = selected(node)
    if source.target is not aten.stack.default:
        return None
    args: Any = (*source.args, 0)
    parts, stacked, *_ = args
    return parts[at] if axis == stacked % value(source).dim() else None


def selected(node: Node) -> tuple[Node, int, int]:
    """What a `select` takes an element of, behind transposes; the axis, and the place on it."""
    args: Any = node.args
    source, axis, at = args
    axis = axis % value(source).dim()
    at = at % value(source).shape[axis]
    while source.target is aten.transpose.int:
        source, first, second = source.args
        pair = (first % value(source).dim(), second % value(source).dim())
        if axis in pair:
            axis = pair[1 - pair.index(axis)]
    return source, axis, at
