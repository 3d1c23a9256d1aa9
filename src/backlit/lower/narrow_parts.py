"""Parts that are joined and then cast to a narrower type, cast before they are joined.

The compiler writes what is joined into memory. In the wide type it would be written and read once
more for the cast: of an LSTM's time step backwards, the gradients of the four gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.insert import insert, renewed
from backlit.lower.passes.common import value


def narrow_parts(gm: GraphModule) -> int:
    """Casts the parts where nobody reads the wide whole; bit for bit the same.

    Args:
        gm: a flat graph whose wires know their value's dtype (``meta["val"]``); changed in place.
    Returns: casts taken apart.
    """
    narrowed = 0
    for node in list(gm.graph.nodes):
        if _narrows(node):
            whole: Any = node.args[0]
            joined = insert(node, partial(_joined, dtype=node.kwargs["dtype"]), whole.args)
            node.replace_all_uses_with(joined)
            gm.graph.erase_node(node)
            gm.graph.erase_node(whole)
            narrowed += 1
    return renewed(gm, narrowed)


def _narrows(node: Node) -> bool:
    """Whether a gate narrows parts of one type that are joined for it alone."""
    if node.target is not aten._to_copy.default or set(node.kwargs) != {"dtype"}:
        return False
    whole: Any = node.args[0]
    if whole.target is not aten.cat.default or len(whole.users) > 1:
        return False
    wide = value(whole).dtype
    alike = all(value(part).dtype == wide for part in whole.args[0])
    return bool(alike and value(node).dtype.itemsize < wide.itemsize)


def _joined(parts: Sequence[Any], dim: int = 0, *, dtype: Any) -> Any:
    """Code of the cast parts' join."""
    return aten.cat.default([aten._to_copy.default(part, dtype=dtype) for part in parts], dim)
