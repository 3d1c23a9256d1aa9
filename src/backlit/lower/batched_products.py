"""Sums of products as one product: the weight gradient of all time steps at once.

Unrolled in time, a recurrent layer's weight gradient is Σₜ dZₜᵀ Hₜ, one small product and one sum
over the whole matrix a step. Stacked, it is a single product [dZ₁; dZ₂; …]ᵀ [H₁; H₂; …]. A bias
gradient is the other way round: the dZₜ are added where they are made, and the rows of their sum,
not those of the stack of all, which nothing else needs in full precision, are summed at the end.
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
    Returns: how many sums are now computed in another way.
    """
    order = {node: i for i, node in enumerate(gm.graph.nodes)}
    changed = 0
    for node in order:
        parts = _stacked_rows(node)
        if len(parts) >= WORTH:
            _sum_where_made(node, sorted(parts, key=order.__getitem__))
            changed += 1
    stacks: dict[tuple[Node, ...], Node] = {}
    for root in [node for node in gm.graph.nodes if _is_sum(node)]:
        if len(root.users) != 1 or not _is_sum(next(iter(root.users))):
            changed += _join(root, stacks)
    gm.graph.lint()
    gm.recompile()
    return changed


def _join(root: Node, stacks: dict[tuple[Node, ...], Node]) -> bool:
    """Replaces a sum with enough products among its terms by a shorter one; says whether it did."""
    inner, terms = _terms(root)
    products = {node: pair for node in terms if (pair := _weight_gradient(node))}
    if len(products) < WORTH:
        return False
    with root.graph.inserting_before(root):
        left = _stack(root, [left for left, _ in products.values()], stacks)
        right = _stack(root, [right for _, right in products.values()], stacks)
        total = _gate(root, aten.mm.default, _gate(root, aten.t.default, left), right)
        for node in terms:
            if node not in products:
                total = _gate(root, aten.add.Tensor, total, node)
    root.replace_all_uses_with(total)
    waiting, gone = [*inner, *products], set[Node]()
    while waiting:
        node = waiting.pop(0)
        if node.op == "call_function" and not node.users and node not in gone:
            gone.add(node)
            waiting += node.all_input_nodes
            root.graph.erase_node(node)
    return True


def _stacked_rows(node: Node) -> list[Node]:
    """The matrices whose rows a gate sums, all of them stacked; none if it does something else."""
    if node.target is not aten.sum.dim_IntList or node.kwargs or list(_args(node)[1] or ()) != [0]:
        return []
    rows = _args(node)[0]
    viewed = rows.target is aten.view.default
    stack = _args(rows)[0] if viewed else rows
    joins = aten.stack.default if viewed else aten.cat.default
    if stack.target is not joins or any(_args(stack)[1:]) or rows.meta["val"].dim() != 2:
        return []
    parts = list(_args(stack)[0])
    shape = parts[0].meta["val"].shape
    alike = all(p.op == "call_function" and p.meta["val"].shape == shape for p in parts)
    return parts if alike and shape[1:] == rows.meta["val"].shape[1:] else []


def _sum_where_made(node: Node, parts: Sequence[Node]) -> None:
    """Puts the sum over the rows of the parts' running sum in the place of that over all rows.

    Parts that are joined of columns, as the gates of a time step are, have one for each of these,
    so that nobody needs the whole in full precision.
    """
    columns = [_columns(part) for part in parts]
    if len({tuple(c.meta["val"].shape for c in of_one) for of_one in columns}) > 1:
        columns = [[part] for part in parts]
    sums = []
    for total, *others in zip(*columns, strict=True):
        for part, column in zip(parts[1:], others, strict=True):
            with node.graph.inserting_before(part.next):
                total = _gate(node, aten.add.Tensor, total, column)
        with node.graph.inserting_before(node):
            sums.append(_gate(node, aten.sum.dim_IntList, total, *_args(node)[1:]))
    with node.graph.inserting_before(node):
        whole = sums[0] if len(sums) == 1 else _gate(node, aten.cat.default, sums, -1)
    node.replace_all_uses_with(whole)
    node.graph.erase_node(node)


def _columns(matrix: Node) -> list[Node]:
    """What a matrix is joined of side by side; itself if it is not."""
    joined = matrix.target is aten.cat.default and not matrix.kwargs
    return list(_args(matrix)[0]) if joined and _args(matrix)[1:] in ((1,), (-1,)) else [matrix]


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
