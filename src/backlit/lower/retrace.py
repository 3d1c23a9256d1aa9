"""A step's flat graph traced again gate by gate: how its gates run may be changed on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.fx import GraphModule, Node

from backlit.errors import GateError
from backlit.gates.base import aten
from backlit.graph.backprop import output_wires, placeholders
from backlit.graph.origin import origin_of, stamp
from backlit.graph.trace import real_like, trace
from backlit.lower.passes.common import writes


def retrace(gm: GraphModule, run: Callable[[Node, dict[Node, Any]], Any]) -> GraphModule:
    """A new graph of the same inputs, writes and results, with each gate run by `run`.

    Args:
        gm: a flat step graph that ends in `copy_` gates into its placeholders.
        run: ``(gate, values so far) -> its value``; tensor code, traced with fake tensors.
    Returns: the new graph.
    Raises: GateError as `last_copies`.
    """
    wires = placeholders(gm)
    nodes = list(gm.graph.nodes)
    copies = last_copies(gm)
    output = nodes[-1]
    results: list[Any] = [copy.args[1] for copy in copies] + list(output.args[0])

    def whole(*inputs: Tensor) -> list[Any]:
        values: dict[Node, Any] = dict(zip(wires, inputs, strict=True))
        for node in nodes:
            if node.op == "get_attr":
                values[node] = getattr(gm, node.target)
            elif node.op == "call_function" and not writes(node):
                with stamp(origin_of(node)):
                    values[node] = run(node, values)
        return [values[r] if isinstance(r, Node) else r for r in results]

    examples = real_like([wire.meta["val"] for wire in wires])
    new, _ = trace(whole, examples, [wire.name for wire in wires])
    _write_again(new, copies, [wires.index(copy.all_input_nodes[0]) for copy in copies])
    return new


def last_copies(gm: GraphModule) -> list[Node]:
    """The `copy_` gates into its placeholders that a flat step graph ends in.

    Raises: GateError for any other gate behind the first write.
    """
    wires = placeholders(gm)
    nodes = list(gm.graph.nodes)
    copies = [node for node in nodes if writes(node)]
    after = nodes[nodes.index(copies[0]) :] if copies else []
    for node in after[:-1]:
        if node.target is not aten.copy_.default or node.args[0] not in wires:
            raise GateError(
                f"expected a graph that ends in copies into its inputs, got {node.target} "
                f"('{node.name}' of {origin_of(node).where()}) behind its first write"
            )
    return copies


def _write_again(gm: GraphModule, copies: list[Node], positions: list[int]) -> None:
    wires = placeholders(gm)
    output = gm.graph.output_node()
    results = list(output_wires(gm))
    with gm.graph.inserting_before(output):
        for copy, position, new in zip(copies, positions, results, strict=False):
            again = gm.graph.call_function(aten.copy_.default, (wires[position], new))
            again.meta["origin"] = origin_of(copy)
    output.args = (tuple(results[len(copies) :]),)
    gm.graph.lint()
    gm.recompile()
