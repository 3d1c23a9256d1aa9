"""Sums of products as one product: the weight gradient of all time steps at once.

Unrolled in time, a recurrent layer's weight gradient is Σₜ dZₜᵀ Hₜ, one small product and one sum
over the whole matrix a step. Stacked, it is a single product [dZ₁; dZ₂; …]ᵀ [H₁; H₂; …]; bias
gradients Σₜ Σ dZₜ are sums of the same stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from backlit.gates.base import aten

# Fewer are not worth the copies into the stacks.
WORTH = 4


def batch_products(gm: GraphModule) -> int:
    """Joins the terms of long sums of products in a flat graph, in place.

    Equal up to rounding: the sums run in another order, in half precision more exactly.

    Args:
        gm: its wires know their value's shape (``meta["val"]``); writes stand at its end.
    Returns: how many gates fewer there are.
    """
    before = len(gm.graph.nodes)
    stacks: dict[tuple[Node, ...], Node] = {}
    for root in [node for node in gm.graph.nodes if _is_sum(node)]:
        if len(root.users) != 1 or not _is_sum(next(iter(root.users))):
            _join(root, stacks)
    gm.graph.lint()
    gm.recompile()
    return before - len(gm.graph.nodes)


def _join(root: Node, stacks: dict[tuple[Node, ...], Node]) -> None:
    """Replaces one sum by a shorter one, where it has enough terms of a form."""
    inner, terms = _terms(root)
    products = [node for node in terms if _is_weight_gradient(node)]
    sums = [node for node in terms if _row_sum(node) is not None]
    joined: list[Node] = []
    with root.graph.inserting_before(root):
        if len(products) >= WORTH:
            left = _stack(root, [_args(_args(node)[0])[0] for node in products], stacks)
            right = _stack(root, [_args(node)[1] for node in products], stacks)
            joined.append(_gate(root, aten.mm.default, _gate(root, aten.t.default, left), right))
        if len(sums) >= WORTH:
            rows = _stack(root, [row for node in sums if (row := _row_sum(node))], stacks)
            joined.append(_gate(root, aten.sum.dim_IntList, rows, [0]))
        if not joined:
            return
        done = {*(products if len(products) >= WORTH else ())}
        done |= {*(sums if len(sums) >= WORTH else ())}
        total, *others = joined + [node for node in terms if node not in done]
        for node in others:
            total = _gate(root, aten.add.Tensor, total, node)
    root.replace_all_uses_with(total)
    behind = [wire for node in [*products, *sums] for wire in node.all_input_nodes]
    for node in [*inner, *terms, *behind]:
        if not node.users and node.op == "call_function":
            node.graph.erase_node(node)


def _terms(root: Node) -> tuple[list[Node], list[Node]]:
    """The additions that make up a sum, outermost first, and its terms in order."""
    inner: list[Node] = []
    terms: list[Node] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node is root or (_is_sum(node) and len(node.users) == 1):
            inner.append(node)
            waiting += reversed(_args(node))
        else:
            terms.append(node)
    return inner, terms


def _args(node: Node) -> tuple[Any, ...]:
    return node.args


def _is_sum(node: Node) -> bool:
    """A sum of two tensors of one shape and dtype."""
    if node.target is not aten.add.Tensor or node.kwargs or len(node.args) != 2:
        return False
    wires = (node, *_args(node))
    if not all(isinstance(x, Node) and "val" in x.meta for x in wires):
        return False
    z, *both = (x.meta["val"] for x in wires)
    return all(x.shape == z.shape and x.dtype == z.dtype for x in both)


def _is_weight_gradient(node: Node) -> bool:
    one_use = node.target is aten.mm.default and len(node.users) == 1
    return one_use and _args(node)[0].target is aten.t.default


def _row_sum(node: Node) -> Node | None:
    """The matrix whose rows' sum a term is, or None; a kept dimension may be viewed away."""
    if node.target is aten.view.default and len(node.users) == 1:
        node = _args(node)[0]
    one_use = node.target is aten.sum.dim_IntList and len(node.users) == 1
    if not one_use or node.kwargs or list(_args(node)[1]) != [0]:
        return None
    source: Node = _args(node)[0]
    return source if source.meta["val"].dim() == 2 else None


def _stack(root: Node, wires: Sequence[Node], stacks: dict[tuple[Node, ...], Node]) -> Node:
    """The rows of all wires below each other, made once."""
    key = tuple(wires)
    if key not in stacks:
        stacks[key] = _gate(root, aten.cat.default, list(wires), 0)
    return stacks[key]


def _gate(root: Node, operator: Any, *args: Any) -> Node:
    """A new gate that stands where `root` stands, its value's shape known."""
    node = root.graph.call_function(operator, args)
    node.meta = {k: v for k, v in root.meta.items() if k != "val"}
    node.meta["val"] = operator(*map_arg(args, lambda wire: wire.meta["val"]))
    return node
