"""Which wires of a graph lie in the same memory, and who reads them last."""

from __future__ import annotations

from operator import getitem
from typing import Any

from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.graph.backprop import placeholders


def shares_memory(node: Node) -> bool:
    """Whether a gate's value may lie in the memory of one of its inputs."""
    if node.target is getitem:
        source: Any = node.args[0]
        return shares_memory(source)
    schema = getattr(node.target, "_schema", None)
    return schema is None or any(made.alias_info is not None for made in schema.returns)


class Aliases:
    """The memory of every wire: the set of wires that first had it.

    Attributes:
        order: place of each node.
        roots: by node; of what owns its memory, the node itself.
        last: the last reader of each root's memory, through whatever view; its place.
        written: for each placeholder that the graph ends in writing to, the copies.
    """

    def __init__(self, gm: GraphModule):
        self.order = {node: i for i, node in enumerate(gm.graph.nodes)}
        self.roots: dict[Node, frozenset[Node]] = {}
        self.last: dict[Node, int] = {}
        self.written: dict[Node, list[Node]] = {wire: [] for wire in placeholders(gm)}
        for node, place in self.order.items():
            inputs = node.all_input_nodes
            final = node.target is aten.copy_.default and node.args[0] in self.written
            if final:
                self.written[node.args[0]].append(node)  # type: ignore[index]
                inputs = [wire for wire in inputs if wire is not node.args[0]]
            for wire in inputs:
                for root in self.roots[wire]:
                    self.last[root] = place
            shared = node.op == "call_function" and shares_memory(node) and not final
            found = frozenset().union(*(self.roots[w] for w in inputs)) if shared else frozenset()
            self.roots[node] = found or frozenset({node})

    def dies_at(self, wire: Node, node: Node) -> bool:
        """Whether a gate is the last to read a wire's memory, by that wire alone."""
        return self.roots[wire] == {wire} and self.last[wire] <= self.order[node]
