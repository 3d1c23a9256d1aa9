"""Gradients that one call can give together: of input, weight and bias."""

from __future__ import annotations

from operator import getitem
from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.graph.origin import origin_of
from backlit.lower.passes.common import pure_gates, value

_MASKED = {aten.convolution_backward.default, aten.native_batch_norm_backward.default}


def join_gradients(gm: GraphModule) -> int:
    """Calls of one derivative that differ only in what they ask for become one call.

    A convolution's and a batch norm's backward share their reading of the inputs that way. The
    bias's gradient, a plain sum, is asked for too.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gates removed.
    """
    before = len(gm.graph.nodes)
    order = {node: i for i, node in enumerate(gm.graph.nodes)}
    first: dict[Any, Node] = {}
    for node in pure_gates(gm.graph):
        if node.target not in _MASKED:
            continue
        one = first.setdefault(_alike(node), node)
        if one is not node:
            mask: Any = zip(one.args[-1], node.args[-1], strict=True)  # type: ignore[arg-type]
            one.args = (*one.args[:-1], [a or b for a, b in mask])
            node.replace_all_uses_with(one)
            gm.graph.erase_node(node)
    for one in first.values():
        if one.args[-1][1]:  # type: ignore[index]
            _join_bias(one, order)
    return before - len(gm.graph.nodes)


def _alike(node: Node) -> Any:
    return node.target, node.args[0], node.args[1], repr(node.args[2:-1])


def _join_bias(one: Node, order: dict[Node, int]) -> None:
    dz: Any = one.args[0]
    like = value(dz)
    axes = [axis for axis in range(like.dim()) if axis != 1]
    for user in list(dz.users):
        plain = user.target is aten.sum.dim_IntList and user.args[1:] == (axes,)
        if not plain or one.args[-1][2]:  # type: ignore[index]
            continue
        if any(order[reader] < order[one] for reader in user.users):
            continue
        mask: Any = one.args[-1]
        one.args = (*one.args[:-1], [*mask[:2], True])
        if one.target is aten.convolution_backward.default:
            one.update_arg(3, [like.shape[1]])  # bias_sizes
        with one.graph.inserting_after(one):
            part = one.graph.call_function(getitem, (one, 2))
        part.meta = {"val": value(user), "origin": origin_of(user)}
        user.replace_all_uses_with(part)
        one.graph.erase_node(user)
