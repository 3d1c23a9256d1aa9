"""The graph as a text table (grows with issue 3); a placeholder is not shipped: see table()."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backlit.graph.graph import Graph


def table(graph: Graph) -> str:
    return "\n".join(f"{c.name}  {c.operation}  {c.shape}" for c in graph)
