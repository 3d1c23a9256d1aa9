"""Dead gates: what neither a result nor a write depends on."""

from __future__ import annotations

from torch.fx import GraphModule, Node

from backlit.lower.passes.common import writes


def dead_gates(gm: GraphModule) -> int:
    """Removes gates whose value nobody uses, e.g. D's weight gradients in G's step.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gates removed.
    """
    live: set[Node] = set()
    removed = 0
    for node in reversed(list(gm.graph.nodes)):
        if node in live or node.op in ("output", "placeholder") or writes(node):
            live.update(node.all_input_nodes)
        else:
            removed += node.op == "call_function"
            gm.graph.erase_node(node)
    return removed
