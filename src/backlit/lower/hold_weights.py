"""Kernels of convolutions, laid channels last once for all that read them.

The compiler casts and copies a weight anew for each of its readers, and the matrix forms of a
convolution bring it into their order: of D, which sees real and fake pictures and whose gradient
passes through it, the same numbers four times a step.
"""

# Shapes: w (K, C, kh, kw).
from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.insert import insert, kept_in_order, renewed
from backlit.lower.layout import WEIGHT
from backlit.lower.lowerings.base import MATRIX_FORMS
from backlit.lower.passes.common import dim, value

_COPIES = {aten.clone.default, aten.contiguous.default}


def hold_weights(gm: GraphModule) -> int:
    """Has each weight copied before its first reader, channels last; the others read that copy.

    Args:
        gm: flat graph whose wires know their value's shape (``meta["val"]``); changed in place.
    Returns: how many are copied.
    """
    held: dict[Node, Node] = {}
    for node in list(gm.graph.nodes):
        position = WEIGHT.get(node.target, 1 if node.target in MATRIX_FORMS else None)
        if position is None or dim(node.args[position]) != 4:
            continue
        given: Any = node.args[position]
        weight = given.args[0] if given.target in _COPIES else given
        shape = value(weight).shape
        if max(shape[2:]) == 1:  # of a pixel both orders are one
            continue
        if weight not in held:
            code = partial(kept_in_order, shape=shape, order=torch.channels_last)
            held[weight] = insert(node, code, [weight])
        node.update_arg(position, held[weight])
        if not given.users:  # a copy for this reader alone
            gm.graph.erase_node(given)
    return renewed(gm, len(held))
