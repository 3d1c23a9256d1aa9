"""What every pass asks of a gate: is it pure, is it a view, may another wire stand for it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from backlit.gates.base import aten
from backlit.graph.origin import origin_of

# Views that begin at the same element as what they look at: shape and strides say all of them.
VIEWS = {
    aten.alias.default,
    aten.detach.default,
    aten.expand.default,
    aten.permute.default,
    aten.squeeze.default,
    aten.squeeze.dim,
    aten.squeeze.dims,
    aten.t.default,
    aten.transpose.int,
    aten.unsqueeze.default,
    aten.view.default,
}
_OTHER_VIEWS = {
    aten.as_strided.default,
    aten.diagonal.default,
    aten.select.int,
    aten.slice.Tensor,
    aten.split.Tensor,
    aten.split_with_sizes.default,
    aten.unbind.int,
    aten.unfold.default,
    aten._unsafe_view.default,
    aten.reshape.default,
    aten.real.default,
    operator.getitem,
}


def value(node: Any) -> Any:
    """The node's example value, None where it has none."""
    return node.meta.get("val") if isinstance(node, Node) else None


def dim(node: Any) -> int:
    """How many axes the node's value has, -1 where it is not known or no tensor."""
    like = value(node)
    return like.dim() if isinstance(like, Tensor) else -1


def nodes_in(part: Any) -> list[Node]:
    """The nodes among a gate's arguments or results, in order, each as often as it stands there."""
    found: list[Node] = []
    map_arg(part, found.append)  # type: ignore[arg-type]
    return found


def writes(node: Node) -> bool:
    """Whether a gate changes one of its inputs in place."""
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and schema.is_mutable


def pure(node: Node) -> bool:
    """Whether a gate is a function of its inputs alone: no write, no noise of its own."""
    if node.op != "call_function" or writes(node):
        return False
    tags = getattr(node.target, "tags", ())
    return torch.Tag.nondeterministic_seeded not in tags


def pure_gates(graph: Graph) -> list[Node]:
    """The pure gates up to the first write: behind it a wire may hold another value."""
    found = []
    for node in graph.nodes:
        if writes(node):
            break
        if pure(node):
            found.append(node)
    return found


def same_layout(a: Any, b: Any) -> bool:
    """Whether two example values agree in shape, strides, dtype and device."""
    return (
        isinstance(a, Tensor)
        and isinstance(b, Tensor)
        and a.shape == b.shape
        and a.stride() == b.stride()
        and a.dtype == b.dtype
        and a.device == b.device
    )


def replace(node: Node, by: Node) -> bool:
    """Lets another wire stand for a gate's, if no write can come between; says whether it did.

    An input of the graph may be overwritten before a write or the caller reads the value: there
    the gate stays. Its value must be the same in shape, strides and dtype.
    """
    if _root(by).op == "placeholder" and not _is_view(node) and _kept(node):
        return False
    node.replace_all_uses_with(by)
    node.graph.erase_node(node)
    return True


def replace_where(gm: GraphModule, same: Callable[[Node], Node | None]) -> int:
    """Lets the wire that `same` names, if it lies in memory alike, stand for each pure gate's.

    Returns: gates removed.
    """
    removed = 0
    for node in pure_gates(gm.graph):
        wire = same(node)
        if wire is not None and same_layout(value(wire), value(node)):
            removed += replace(node, wire)
    return removed


def instead(node: Node, target: Any, *args: Any, **kwargs: Any) -> Node:
    """Puts a new gate of the same value in a gate's place."""
    with node.graph.inserting_before(node):
        new = node.graph.call_function(target, args, kwargs)
    new.meta = {"val": value(node), "origin": origin_of(node)}
    node.replace_all_uses_with(new)
    node.graph.erase_node(node)
    return new


def _is_view(node: Node) -> bool:
    return node.target in VIEWS or node.target in _OTHER_VIEWS


def _root(node: Node) -> Node:
    while node.op == "call_function" and _is_view(node) and isinstance(node.args[0], Node):
        node = node.args[0]
    return node


def _kept(node: Node) -> bool:
    """Whether a write or the caller reads the wire, itself or through views."""
    return any(
        user.op == "output" or writes(user) or (_is_view(user) and _kept(user))
        for user in node.users
    )
