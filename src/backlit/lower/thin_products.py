"""Products of matrices of which a side has few elements, as multiplications that a compiler fuses.

Points of the plane go through products with a side of two, a score is a product with a side of
one. They do next to nothing, and yet each takes as long as a call of the library does.
"""

# Shapes: a (M, K), b (K, N), z = a b (M, N); one of M, K, N is thin.
from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.insert import insert, kept_in_order, renewed
from backlit.lower.passes.common import value

THIN = 4  # elements of a thin side: each has gates of its own
_MOST = 2**19  # multiplications; with more it matters how the library reads its operands
_MANY = 64  # in one graph, a net unrolled in time: there compiling would take too long


def open_thin_products(gm: GraphModule) -> int:
    """Puts multiplications and sums in place of a flat graph's thin products, in place.

    Equal up to rounding: sums run in another order, in float32 where the product is in less.

    Args:
        gm: its wires know their value's shape (``meta["val"]``).
    Returns: how many products were opened.
    """
    thin = [node for node in gm.graph.nodes if _is_thin(node)]
    if not 0 < len(thin) <= _MANY:
        return 0
    for node in thin:
        opened = insert(node, partial(_opened, node), list(node.args))
        node.replace_all_uses_with(opened)
        gm.graph.erase_node(node)
    return renewed(gm, len(thin))


def _is_thin(node: Node) -> bool:
    if node.target not in (aten.mm.default, aten.addmm.default) or node.kwargs:
        return False
    m, k, n = _sizes(node)
    thin = 0 < min(m, k, n) <= THIN and m * k * n <= _MOST
    return thin and value(node).is_floating_point()


def _sizes(node: Node) -> tuple[int, int, int]:
    a, b = map(value, node.args[-2:])
    return *a.shape, b.shape[1]


def _opened(node: Node, *operands: Any) -> Any:
    """Code of the product that a gate computes."""
    (m, k, n), dtype = _sizes(node), value(node).dtype
    exact = torch.promote_types(dtype, torch.float32)
    *bias, a, b = operands if exact == dtype else [_cast(x, exact) for x in operands]
    turned_a, turned_b = (value(x).stride()[1] != 1 for x in node.args[-2:])
    if k == min(m, k, n):
        z = _outer(a, kept_in_order(b, (k, n)) if turned_b else b, k)
    elif n <= m:
        bt = aten.t.default(b)
        z = aten.stack.default(_sums(a, bt if turned_b else kept_in_order(bt, (n, k)), n), 1)
    else:
        z = aten.stack.default(
            _sums(aten.t.default(b), kept_in_order(a, (m, k)) if turned_a else a, m)
        )
    for c in bias:
        z = aten.add.Tensor(z, c)
    return z if exact == dtype else _cast(z, dtype)


def _outer(a: Any, b: Any, k: int) -> Any:
    """Σₖ a[:, k] b[k, :], each an outer product."""
    z = aten.mul.Tensor(part(a, 1, 0), part(b, 0, 0))
    for i in range(1, k):
        z = aten.add.Tensor(z, aten.mul.Tensor(part(a, 1, i), part(b, 0, i)))
    return z


def _sums(a: Any, few: Any, n: int) -> list[Any]:
    """Σₖ a[:, k] few[i, k] for each of the n i."""
    products = [aten.mul.Tensor(a, part(few, 0, i)) for i in range(n)]
    return [aten.sum.dim_IntList(product, [1]) for product in products]


def part(x: Any, axis: int, at: int) -> Any:
    """Code of one place of an axis, the axis kept."""
    return aten.slice.Tensor(x, axis, at, at + 1)


def _cast(x: Any, dtype: torch.dtype) -> Any:
    return aten._to_copy.default(x, dtype=dtype)
