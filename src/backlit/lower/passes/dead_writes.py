"""Dead writes: copies into an input that a later copy overwrites."""

from __future__ import annotations

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.passes.common import writes


def dead_writes(gm: GraphModule) -> int:
    """Removes copies into an input of the graph that are overwritten before anybody reads it.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gates removed.
    """
    found: list[Node] = []
    overwritten: set[Node] = set()
    for node in reversed(gm.graph.nodes):
        if node.op == "output":
            overwritten -= set(node.all_input_nodes)
        elif node.target is not aten.copy_.default:
            if not writes(node):
                break  # the copies are the graph's end; before them, views may read an input
        else:
            wire = node.args[0]
            if wire in overwritten:
                found.append(node)
            else:
                overwritten.add(wire)  # type: ignore[arg-type]
                overwritten.discard(node.args[1])  # type: ignore[arg-type]
    for node in found:
        gm.graph.erase_node(node)
    return len(found)
