"""Constant folding: gates whose inputs are all known before the step runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.passes.common import VIEWS, instead, pure_gates, replace, same_layout, value
from backlit.lower.passes.dead_gates import dead_gates

# Where in the arguments the one value stands that fills the whole tensor.
_FILLED: dict[Any, Any] = {
    aten.full.default: 1,
    aten.full_like.default: 1,
    aten.new_full.default: 2,
    aten.scalar_tensor.default: 0,
}
_ZEROS = {aten.zeros.default, aten.zeros_like.default, aten.new_zeros.default}
_ONES = {aten.ones.default, aten.ones_like.default, aten.new_ones.default}
# Elementwise gates that one element and a whole vector round alike.
_EXACT = {
    aten.abs.default,
    aten.add.Tensor,
    aten.div.Tensor,
    aten.eq.Scalar,
    aten.ge.Scalar,
    aten.gt.Scalar,
    aten.le.Scalar,
    aten.lt.Scalar,
    aten.mul.Tensor,
    aten.neg.default,
    aten.rsub.Scalar,
    aten.sub.Tensor,
    aten.where.self,
}
_FACTORIES = _FILLED.keys() | _ZEROS | _ONES


def fold_constants(gm: GraphModule) -> int:
    """Computes gates of constants now, and chooses the branch of a `where` whose side is known.

    A folded gate becomes a `full`, which a compiler writes into the code. Only operations that
    round the same for one element and for many are folded.

    Args:
        gm: the flat step graph; changed in place.
    Returns: gates removed, the inputs that only a folded gate used included.
    """
    known: dict[Node, Tensor] = {}
    removed = 0
    for node in pure_gates(gm.graph):
        element = _element(node, known)
        if element is None:
            removed += _chosen_branch(node, known)
            continue
        if node.target not in _FACTORIES and node.target not in VIEWS:
            like = value(node)
            if not like.is_contiguous():
                continue  # `full` gives another layout, which a later view may not take
            how = {"dtype": like.dtype, "device": like.device}
            node = instead(node, aten.full.default, list(like.shape), element.item(), **how)
        known[node] = element
    return removed + dead_gates(gm)


def _element(node: Node, known: dict[Node, Tensor]) -> Tensor | None:
    """The one value, 0-d, of a tensor that is constant and the same everywhere; else None."""
    like = value(node)
    if not isinstance(like, Tensor) or like.numel() == 0:
        return None
    constant: Any = None
    if node.target in _FILLED:
        constant = node.args[_FILLED[node.target]]
    elif node.target in _ZEROS or node.target in _ONES:
        constant = int(node.target in _ONES)
    if isinstance(constant, (bool, int, float)):
        return torch.tensor(constant, dtype=like.dtype)
    inputs = node.all_input_nodes
    if not inputs or any(wire not in known for wire in inputs):
        return None
    if node.target in VIEWS:
        return known[inputs[0]]
    if node.target not in _EXACT:
        return None
    # A 0-d tensor promotes otherwise than a larger one: one element, but the same dimensions.
    args = [known[a].reshape([1] * value(a).dim()) if isinstance(a, Node) else a for a in node.args]
    target: Any = node.target
    result = target(*args, **node.kwargs)
    return result.reshape(()) if result.dtype == like.dtype else None


def _chosen_branch(node: Node, known: dict[Node, Tensor]) -> int:
    if node.target is not aten.where.self or node.args[0] not in known:
        return 0
    condition, yes, no = node.args
    branch: Any = yes if bool(known[condition]) else no  # type: ignore[index]
    return int(same_layout(value(branch), value(node)) and replace(node, branch))
