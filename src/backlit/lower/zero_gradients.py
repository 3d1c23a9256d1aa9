"""Gradients that are zero by construction: nobody need add them.

Of a recurrent net of which only the last output is used, the gradient of all outputs is zero but
for one time step, and every step adds its part of it.
"""

from __future__ import annotations

from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.passes.clean_parts import selected
from backlit.lower.passes.common import nodes_in, pure_gates, replace, same_layout, value


def drop_zero_gradients(gm: GraphModule) -> int:
    """Removes additions of elements that a derivative of `select` leaves zero, in place.

    The results are equal; a -0 that became 0 by the addition may stay -0.

    Args:
        gm: a flat step graph, its wires' example values in ``meta["val"]``.
    Returns: additions removed.
    """
    removed = 0
    for node in pure_gates(gm.graph):
        if node.target is aten.add.Tensor and not node.kwargs:
            wires = nodes_in(node.args)
            others = [x for x in wires if not _is_zero(x)]
            if len(others) < len(wires) and others and same_layout(value(others[0]), value(node)):
                removed += replace(node, others[0])
    return removed


def _is_zero(node: Node) -> bool:
    """Whether a gate takes one of the elements that a derivative of `select` fills with zeros."""
    if node.target is not aten.select.int:
        return False
    source, axis, at = selected(node)
    if source.target is not aten.select_backward.default:
        return False
    args: Any = source.args
    _, sizes, dim, index = args
    dim = dim % len(sizes)
    return axis == dim and at != index % sizes[dim]
