"""Gates that may write their result where their input lies: less memory, warmer caches."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.direct.aliases import Aliases
from backlit.lower.passes.common import value

_FORMS: dict[Any, Any] = {
    aten.add.Tensor: aten.add_.Tensor,
    aten.addmm.default: aten.addmm_.default,
    aten.div.Tensor: aten.div_.Tensor,
    aten.leaky_relu.default: aten.leaky_relu_.default,
    aten.lerp.Scalar: aten.lerp_.Scalar,
    aten.mul.Tensor: aten.mul_.Tensor,
    aten.neg.default: aten.neg_.default,
    aten.relu.default: aten.relu_.default,
    aten.rsub.Scalar: None,
    aten.sigmoid.default: aten.sigmoid_.default,
    aten.sqrt.default: aten.sqrt_.default,
    aten.sub.Tensor: aten.sub_.Tensor,
    aten.tanh.default: aten.tanh_.default,
}
_FORMS = {gate: form for gate, form in _FORMS.items() if form is not None}


def write_in_place(gm: GraphModule) -> int:
    """Gates whose first input nobody reads later write their result over it.

    An input of the graph that ends in taking the result is written at once, not copied to at
    the end. Run last: no other pass looks behind a write.

    Args:
        gm: the flat step graph that ends in copies into its inputs; changed in place.
    Returns: gates that now write in place.
    """
    aliases = Aliases(gm)
    found = 0
    for node in list(gm.graph.nodes):
        first = node.args[0] if node.target in _FORMS else None
        if not isinstance(first, Node) or not _fits(node, first, aliases):
            continue
        copies = aliases.written.get(first)
        if copies is not None:
            if [copy.args[1] for copy in copies] != [node]:
                continue
            gm.graph.erase_node(copies.pop())
        node.target = _FORMS[node.target]
        found += 1
    return found


def _fits(node: Node, first: Node, aliases: Aliases) -> bool:
    a, z = value(first), value(node)
    if not isinstance(a, Tensor) or a.shape != z.shape or a.dtype != z.dtype or not a.dim():
        return False
    if first.op == "get_attr" or aliases.roots[first] != {first}:
        return False
    if aliases.last[first] > aliases.order[node]:
        return False
    # Another input may be the same wire, never another view of it.
    others = [wire for wire in node.all_input_nodes if wire is not first]
    return not any(first in aliases.roots[wire] for wire in others)
