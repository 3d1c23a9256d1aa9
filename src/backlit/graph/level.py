"""Granularity: the same computation as elementary gates, composite gates or whole modules.

Value and gradients are the same at every level; only what counts as one gate differs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph as FlatGraph
from torch.fx import GraphModule, Node

from backlit.errors import CaptureError
from backlit.gates import Gate, gate_of
from backlit.graph import backprop
from backlit.graph.graph import Graph
from backlit.graph.origin import origin_of, stamp
from backlit.graph.trace import real_like, trace

LEVELS = ("gates", "composite", "module")


def at_level(graph: Graph, level: str, module: nn.Module) -> Graph:
    """The graph at a granularity.

    Args:
        graph: as captured, of composite gates.
        level: ``"gates"`` opens every gate that is made of others (sigmoid: negate, exp, add one,
            reciprocal), ``"composite"`` leaves them, ``"module"`` makes each leaf module of the
            network one gate.
        module: the network, for its leaves.
    Raises: CaptureError for another level.
    """
    if level not in LEVELS:
        raise CaptureError(f"level: expected one of {', '.join(LEVELS)}, got '{level}'")
    if level == "gates":
        return opened(graph)
    return grouped(graph, module) if level == "module" else graph


def opened(graph: Graph) -> Graph:
    """The graph with every gate that has an `expand` replaced by the gates it stands for."""
    gm = graph.gm
    while any(_expansion(node) for node in gm.graph.nodes):
        examples = real_like([node.meta["val"] for node in backprop.placeholders(gm)])
        names = [wire.name for wire in graph.inputs]
        gm, _ = trace(lambda *flat, gm=gm: _expanded(gm, flat), examples, names)
    return replace(graph, gm=gm, watched=None, _gradient_graph=None)


def _expansion(node: Node) -> Callable[..., Any] | None:
    gate = gate_of(node.target) if node.op == "call_function" else None
    return None if gate is None else gate.expand


def _expanded(gm: GraphModule, inputs: Sequence[Tensor]) -> Any:
    """Runs a graph with the expansions of its gates in their places."""
    values: dict[Node, Any] = dict(zip(backprop.placeholders(gm), inputs, strict=True))
    for node in gm.graph.nodes:
        if node.op == "output":
            return torch.fx.node.map_arg(node.args[0], values.__getitem__)
        if node.op == "get_attr":
            values[node] = getattr(gm, node.target)
        elif node.op == "call_function":
            with stamp(origin_of(node)):
                values[node] = backprop.evaluate(node, values, _expansion(node))
    raise AssertionError("a graph ends in an output")


class ModuleGate(Gate):
    """A whole module as one gate: it holds its inner graph, and runs it forward and backward.

    Args:
        name: the module's class, e.g. ``"Linear"``.
        inner: its flat graph.
    """

    formula = "z = module(x, parameters)"
    local = "backpropagation through the gates inside"

    def __init__(self, name: str, inner: GraphModule):
        self.inner, self.__name__ = inner, name
        self.__qualname__ = name

    def __str__(self) -> str:
        return f"module.{self.__name__}"

    def __call__(self, *inputs: Any) -> Any:
        outputs = backprop.forward(self.inner, inputs)[0]
        return outputs if len(outputs) > 1 else outputs[0]

    def backward(self, dz: Any, z: Any, *inputs: Any) -> tuple[Any, ...]:  # type: ignore[override]
        wires = backprop.placeholders(self.inner)
        _, values = backprop.forward(self.inner, inputs)
        seeds: dict[Node, Tensor] = {}
        out = backprop.output_wires(self.inner)
        for wire, grad in zip(out, dz if len(out) > 1 else [dz], strict=True):
            if grad is not None:
                seeds[wire] = seeds[wire] + grad if wire in seeds else grad
        wanted = [w for w in wires if backprop.is_floating(values[w])]
        grads = backprop.backward(self.inner, values, seeds, wanted)
        return tuple(grads.get(wire) for wire in wires)


def grouped(graph: Graph, module: nn.Module) -> Graph:
    """The graph with the gates of each leaf module drawn together into one gate."""
    leaves = {path for path, child in module.named_modules() if path and not any(child.children())}
    new = FlatGraph()
    made: dict[Node, Node] = {}
    for nodes in _runs(graph.gm, leaves):
        if len(nodes) == 1 or origin_of(nodes[0]).module not in leaves:
            for node in nodes:
                made[node] = new.node_copy(node, made.__getitem__)
        else:
            made.update(_as_one(new, nodes, made))
    return replace(graph, gm=GraphModule(graph.gm, new), watched=None, _gradient_graph=None)


def _runs(gm: GraphModule, leaves: set[str]) -> Iterator[list[Node]]:
    """Gates in order, those that follow each other in one leaf module together."""

    def key(node: Node) -> Any:
        module = origin_of(node).module
        return module if node.op == "call_function" and module in leaves else node.name

    for _, nodes in groupby(list(gm.graph.nodes), key):
        yield list(nodes)


def _as_one(new: FlatGraph, nodes: list[Node], made: dict[Node, Node]) -> dict[Node, Node]:
    """Adds one gate that stands for `nodes`; returns what stands for each wire that leaves it."""
    inside = set(nodes)
    sources = list(dict.fromkeys(n for node in nodes for n in node.all_input_nodes))
    sources = [n for n in sources if n not in inside]
    inner = FlatGraph()
    wires: dict[Node, Node] = {}
    for source in sources:
        wires[source] = inner.placeholder(source.name)
        wires[source].meta = dict(source.meta)
    for node in nodes:
        wires[node] = inner.node_copy(node, wires.__getitem__)
    # (a wire of several values, before it is taken apart, stays inside)
    leaving = [n for n in nodes if any(user not in inside for user in n.users)]
    inner.output(tuple(wires[n] for n in leaving))
    origin = origin_of(nodes[0])
    gate = ModuleGate(origin.module_type, GraphModule(nn.Module(), inner))
    call = new.call_function(gate, tuple(made[n] for n in sources))
    call.meta["origin"] = origin
    if len(leaving) == 1:
        call.meta["val"] = leaving[0].meta.get("val")
        return {leaving[0]: call}
    call.meta["val"] = tuple(n.meta.get("val") for n in leaving)
    result = {}
    for index, node in enumerate(leaving):
        part = new.call_function(operator.getitem, (call, index))
        part.meta = {"val": node.meta.get("val"), "origin": origin}
        result[node] = part
    return result
