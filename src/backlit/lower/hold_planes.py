"""Scores of a few classes for every pixel, in planes before their softmax.

Convolutions give them channels last. The compiler then fills a vector of sixteen with the two
scores of a pixel; in planes it takes sixteen pixels at a time.
"""

# Shapes: x (N, C, H, W).
from __future__ import annotations

from functools import partial
from typing import Any

from torch.fx import GraphModule

from backlit.gates.base import aten
from backlit.lower.insert import insert, kept_in_order
from backlit.lower.passes.common import dim, value

_SOFTMAX = {aten._softmax.default, aten._log_softmax.default}
# With more classes the vectors are full enough.
_FEW = 8


def hold_planes(gm: GraphModule) -> int:
    """Has what goes into softmaxes over few channels, and what comes out, in the order of numbers.

    Args:
        gm: flat graph whose wires know their value's shape (``meta["val"]``); changed in place.
    Returns: how many softmaxes.
    """
    held = 0
    for node in list(gm.graph.nodes):
        if node.target in _SOFTMAX and dim(node) == 4 and node.args[1] in (1, -3):
            x: Any = node.args[0]
            shape = value(x).shape
            if shape[1] <= _FEW:
                in_order = partial(kept_in_order, shape=shape)
                node.replace_input_with(x, insert(node, in_order, [x]))
                readers = list(node.users)
                z = insert(node.next, in_order, [node])
                for reader in readers:
                    reader.replace_input_with(node, z)
                held += 1
    if held:
        gm.graph.lint()
        gm.recompile()
    return held
