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
    products = {node: pair for node in terms if (pair := _weight_gradient(node))}
    sums = {node: rows for node in terms if (rows := _row_sum(node))}
    joined: list[Node] = []
    done: set[Node] = set()
    with root.graph.inserting_before(root):
        if len(products) >= WORTH:
            left = _stack(root, [left for left, _ in products.values()], stacks)
            right = _stack(root, [right for _, right in products.values()], stacks)
            joined.append(_gate(root, aten.mm.default, _gate(root, aten.t.default, left), right))
            done |= products.keys()
        if len(sums) >= WORTH:
            rows = _stack(root, list(sums.values()), stacks)
            joined.append(_gate(root, aten.sum.dim_IntList, rows, [0]))
            done |= sums.keys()
        if not joined:
            return
        total, *others = joined + [node for node in terms if node not in done]
        for node in others:
            total = _gate(root, aten.add.Tensor, total, node)
    root.replace_all_uses_with(total)
    waiting, gone = [*inner, *done], set[Node]()
    while waiting:
        node = waiting.pop(0)
        if node.op == "call_function" and not node.users and node not in gone:
            gone.add(node)
            waiting += node.all_input_nodes
            root.graph.erase_node(node)


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


def _weight_gradient(node: Node) -> tuple[Node, Node] | None:
    """A and B of a term Aᵀ B, also where it stands as (Bᵀ A)ᵀ."""
    turned = node.target is aten.t.default and _one_use(node)
    product = _args(node)[0] if turned else node
    if product.target is not aten.mm.default or not _one_use(product):
        return None
    first, second = _args(product)
    if first.target is not aten.t.default:
        return None
    source = _args(first)[0]
    return (second, source) if turned else (source, second)


def _row_sum(node: Node) -> Node | None:
    """The matrix whose rows a term sums; the axis summed over may first stay, of length 1."""
    viewed = node.target is aten.view.default and _one_use(node)
    total = _args(node)[0] if viewed else node
    if total.target is not aten.sum.dim_IntList or not _one_use(total) or total.kwargs:
        return None
    matrix, axes, *kept = _args(total)
    fits = matrix.meta["val"].dim() == 2 and node.meta["val"].dim() == 1
    return matrix if list(axes) == [0] and fits and viewed == any(kept) else None


def _one_use(node: Node) -> bool:
    return len(node.users) == 1


def _stack(root: Node, wires: Sequence[Node], stacks: dict[tuple[Node, ...], Node]) -> Node:
    """The rows of all wires below each other, made once.

    The last first: sums over time run backwards, and the stack in the order of time is there
    already where the product with the input took all times at once.
    """
    key = tuple(reversed(wires))
    if key not in stacks:
        shapes = [wire.meta["val"].shape for wire in key]
        if len(set(shapes)) == 1:
            stack = _gate(root, aten.stack.default, list(key))
            rows = [len(key) * shapes[0][0], *shapes[0][1:]]
            stacks[key] = _gate(root, aten.view.default, stack, rows)
        else:
            stacks[key] = _gate(root, aten.cat.default, list(key))
    return stacks[key]


def _gate(root: Node, operator: Any, *args: Any) -> Node:
    """A new gate that stands where `root` stands, its value's shape known."""
    node = root.graph.call_function(operator, args)
    node.meta = {k: v for k, v in root.meta.items() if k != "val"}
    node.meta["val"] = operator(*map_arg(args, lambda wire: wire.meta["val"]))
    return node
