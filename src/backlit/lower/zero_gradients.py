"""Gradients that are zero by construction: nobody need add them.

Of a recurrent net of which only the last output is used, the gradient of all outputs is zero but
for one time step, and every step adds its part of it.
"""

from __future__ import annotations

from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.passes.clean_parts import selected
from backlit.lower.passes.common import nodes_in, replace_where


def drop_zero_gradients(gm: GraphModule) -> int:
    """Removes additions of elements that a derivative of `select` leaves zero, in place.

    The results are equal; a -0 that became 0 by the addition may stay -0.

    Args:
        gm: a flat step graph, its wires' example values in ``meta["val"]``.
    Returns: additions removed.
    """
    return replace_where(gm, _beside_zero)


def _beside_zero(node: Node) -> Node | None:
    """The wire to which a gate adds zeros, if that is all it does."""
    if node.target is not aten.add.Tensor or node.kwargs:
        return None
    wires = nodes_in(node.args)
    others = [wire for wire in wires if not _is_zero(wire)]
    return others[0] if others and len(others) < len(wires) else None


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
