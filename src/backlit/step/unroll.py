"""Several steps in one graph: for small networks the call itself is most of a step's time."""

from __future__ import annotations

from collections.abc import Collection

from torch.fx import Graph, GraphModule, Node

from backlit.gates.base import aten
from backlit.graph.backprop import placeholders


def unroll(gm: GraphModule, k: int, kept: Collection[str]) -> GraphModule:
    """A graph of `k` steps, each going on from the state that the one before it left.

    Args:
        gm: one step; it ends in copies into the wires of its state.
        kept: names of the placeholders all steps share: state and rates.
    Returns: a graph of the shared placeholders in order, then each step's own, one step after
        the other; its output is the steps' outputs, one step after the other.
    """
    graph, state = Graph(), dict[Node, Node]()

    def wire(node: Node) -> Node:
        new = graph.placeholder(node.name)
        new.target = new.name  # each step has its own wire of that name
        new.meta = dict(node.meta)
        return new

    wires = placeholders(gm)
    first = {node: wire(node) for node in wires if node.name in kept}
    own = [{node: wire(node) for node in wires if node.name not in kept} for _ in range(k)]
    outputs: list[Node] = []
    for mine in own:
        values = {**first, **state, **mine}
        for node in gm.graph.nodes:
            if node.op == "output":
                outputs += [values[found] for found in node.args[0]]
            elif node.target is aten.copy_.default and node.args[0] in first:
                state[node.args[0]] = values[node.args[1]]
            elif node.op != "placeholder":
                values[node] = graph.node_copy(node, values.__getitem__)
    for node, new in state.items():
        graph.call_function(aten.copy_.default, (first[node], new))
    graph.output(tuple(outputs))
    graph.lint()
    return GraphModule(gm, graph)
