"""Numbers that whole tensors are computed with, computed once.

The compiler inlines what is computed of single numbers into the loop that uses it: Adam's bias
corrections, two powers, once more for every sixteen elements.
"""

from __future__ import annotations

from torch.fx import GraphModule

from backlit.gates.base import aten
from backlit.graph.backprop import placeholders
from backlit.lower.insert import read_whole
from backlit.lower.passes.common import dim


def hold_scalars(gm: GraphModule) -> int:
    """Makes computed 0-d wires that larger gates read values in memory, in place.

    Args:
        gm: flat graph whose wires know their value's shape (``meta["val"]``).
    Returns: how many are held.
    """
    held = 0
    computed = set(placeholders(gm))  # depends on an input; others are folded into constants
    for node in list(gm.graph.nodes):
        if node.op != "call_function" or not computed & set(node.all_input_nodes):
            continue
        computed.add(node)
        readers = [user for user in node.users if dim(user) > 0]
        if dim(node) == 0 and readers and node.target is not aten.as_strided.default:
            read_whole(node, readers)
            held += 1
    gm.recompile()
    return held
