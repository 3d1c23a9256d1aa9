"""Weight gradients of convolutions, put in the order of their numbers before they are joined.

Kernels give them channels last. The vector that the parameters lie in has another order; writing
into it the compiler sees one long loop, and finds the place of each number by division.
"""

# Shapes: dW (K, C, kh, kw).
from __future__ import annotations

from functools import partial
from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.insert import insert, kept_in_order, renewed
from backlit.lower.passes.common import dim, value

_FLAT = {aten.view.default, aten.reshape.default}


def hold_gradients(gm: GraphModule) -> int:
    """Has four-dimensional wires copied, in loops over their axes, before they are flattened.

    Args:
        gm: flat graph whose wires know their value's shape (``meta["val"]``); changed in place.
    Returns: how many are copied.
    """
    held = 0
    for node in list(gm.graph.nodes):
        if node.target in _FLAT and dim(node) == 1 and dim(node.args[0]) == 4:
            reader = _narrowest(node)
            wire: Any = reader.args[0]
            shape = value(wire).shape
            if max(shape[2:]) > 1:  # of a pixel both orders are one
                copy = insert(reader, partial(kept_in_order, shape=shape), [wire])
                reader.replace_input_with(wire, copy)
                held += 1
    return renewed(gm, held)


def _narrowest(node: Node) -> Node:
    """What reads the wire that is flattened: a cast to a wider type, if nobody else wants that."""
    cast: Any = node.args[0]
    return cast if cast.target is aten._to_copy.default and len(cast.users) == 1 else node
