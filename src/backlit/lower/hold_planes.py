"""Scores of a few classes for every pixel, in planes before their softmax.

Convolutions give them channels last. The compiler then fills a vector of sixteen with the two
scores of a pixel; in planes it takes sixteen pixels at a time.
"""

# Shapes: x (N, C, H, W).
from __future__ import annotations

from functools import partial
from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.insert import insert, kept_in_order, renewed
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
    found = [node for node in gm.graph.nodes if _over_few_planes(node)]
    for node in found:
        x: Any = node.args[0]
        in_order = partial(kept_in_order, shape=value(x).shape)
        node.replace_input_with(x, insert(node, in_order, [x]))
        readers = list(node.users)
        z = insert(node.next, in_order, [node])
        for reader in readers:
            reader.replace_input_with(node, z)
    return renewed(gm, len(found))


def _over_few_planes(node: Node) -> bool:
    over_channels = node.target in _SOFTMAX and dim(node) == 4 and node.args[1] in (1, -3)
    return over_channels and value(node).shape[1] <= _FEW
