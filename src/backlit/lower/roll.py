"""A flat graph's repeated stretches, such as the time steps of a recurrent net, as calls of one.

Compiled as one graph, a net unrolled over 64 steps takes minutes; the stretch that repeats takes
seconds, and what lies before, between and behind the loops little more. Every piece is a
contiguous part of the graph in its own order, so that putting it together needs no search.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import getitem
from typing import Any

from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg
from torch.fx.passes.fake_tensor_prop import FakeTensorProp

from backlit.gates.base import aten
from backlit.lower.direct.aliases import shares_memory
from backlit.lower.loops import (
    PRODUCTS,
    WORTH_REPEATS,
    Inputs,
    Loop,
    crossing,
    find_loops,
    only_tensors,
    wires_of,
)
from backlit.lower.passes.common import value, writes

_PARTS = {aten.select.int, aten.slice.Tensor, getitem}


def roll(gm: GraphModule, inputs: Sequence[Tensor]) -> GraphModule | None:
    """The graph as calls of its pieces, each a graph of its own; None where nothing repeats.

    Args:
        gm: flat graph of static shapes; what it knows of its wires' layout is renewed.
        inputs: tensors in the order of its placeholders.
    Returns: a graph of ``call_module`` gates, each of which gives a tuple; the repeated stretch
        is one module, called many times.
    """
    nodes = [n for n in gm.graph.nodes if n.op not in ("placeholder", "output")]
    if any(n.op != "call_function" for n in nodes):
        return None
    products = Counter(n.target for n in nodes if n.target in PRODUCTS)
    if max(products.values(), default=0) < WORTH_REPEATS:
        return None
    # Each piece is compiled for the layout that its inputs really have.
    FakeTensorProp(gm).propagate(*inputs)
    _take_parts_early(gm.graph)
    _widen_where_read(gm.graph)
    _look_where_read(gm.graph)
    nodes = [n for n in gm.graph.nodes if n.op == "call_function"]
    loops = find_loops(nodes)
    return _put_together(gm, nodes, loops) if loops else None


def _take_parts_early(graph: Graph) -> None:
    """Moves parts of a wire to where the wire is: which part a time step takes is its own."""
    for node in reversed(list(graph.nodes)):
        if node.target in _PARTS:
            source: Any = node.args[0]
            if source.op == "placeholder":
                source = next(n for n in reversed(graph.nodes) if n.op == "placeholder")
            source.append(node)


def _widen_where_read(graph: Graph) -> None:
    """Casts to a wider type anew for each gate that reads one: the narrow wire crosses pieces."""
    for node in list(graph.nodes):
        if node.target is aten._to_copy.default and set(node.kwargs) == {"dtype"}:
            source: Any = node.args[0]
            if node.kwargs["dtype"].itemsize > value(source).dtype.itemsize:
                for user in list(node.users)[1:]:
                    with graph.inserting_before(user):
                        again = graph.node_copy(node, lambda wire: wire)
                    user.replace_input_with(node, again)


def _look_where_read(graph: Graph) -> None:
    """Views of what is written anew for each gate that reads one: no piece gets both as inputs.

    A compiler takes its inputs for different memory, and might write one before it reads the other.
    """
    written = {node.args[0] for node in graph.nodes if writes(node)}
    views: dict[Node, None] = {}
    for node in graph.nodes:
        if node.op == "call_function" and shares_memory(node) and not writes(node):
            if any(source in written or source in views for source in node.all_input_nodes):
                views[node] = None

    def anew(view: Node) -> Node:
        source: Any = view.args[0]
        source = anew(source) if source in views else source
        return graph.node_copy(view, lambda wire: source if wire is view.args[0] else wire)

    for view in views:
        for user in [user for user in view.users if user not in views and user.op != "output"]:
            with graph.inserting_before(user):
                user.replace_input_with(view, anew(view))
    for view in reversed(views):
        if not view.users:
            graph.erase_node(view)


def _put_together(gm: GraphModule, nodes: list[Node], loops: list[Loop]) -> GraphModule | None:
    position = {node: i for i, node in enumerate(nodes)}
    ends = [0, *(loop.end for loop in loops)]
    starts = [*(loop.start for loop in loops), len(nodes)]
    between = [Loop(a, b - a) for a, b in zip(ends, starts, strict=True) if a < b]
    graph = Graph()
    new: dict[Node, Node] = {}
    for node in gm.graph.nodes:
        if node.op == "placeholder":
            new[node] = graph.placeholder(node.name)
    modules: dict[str, GraphModule] = {}
    for loop in sorted([*between, *loops], key=lambda loop: loop.start):
        inputs, outputs = crossing(nodes, position, loop)
        if not only_tensors(inputs, outputs):
            return None
        name = f"piece_{len(modules)}"
        modules[name] = _piece(nodes, position, loop, inputs, outputs)
        for repeat in range(loop.repeats):
            call = graph.call_module(name, tuple(new[wires[repeat]] for wires in inputs))
            for i, node in enumerate(outputs):
                later = nodes[position[node] + repeat * loop.period]
                new[later] = graph.call_function(getitem, (call, i))
    output = gm.graph.output_node()
    graph.output(map_arg(output.args[0], new.__getitem__))
    return GraphModule(nn.ModuleDict(modules), graph)


def _piece(
    nodes: Sequence[Node],
    position: dict[Node, int],
    loop: Loop,
    inputs: Inputs,
    outputs: Sequence[Node],
) -> GraphModule:
    """The first of a loop's stretches as a graph; its names tell nothing of where it was."""
    graph = Graph()
    slots: dict[tuple[Node, ...], Node] = {}
    for i, wires in enumerate(inputs):
        slots[wires] = graph.placeholder(f"i{i}")
        slots[wires].meta = {"val": value(wires[0])}
    new: dict[Node, Node] = {}
    for place in range(loop.start, loop.start + loop.period):
        repeats = nodes[place : loop.end : loop.period]
        comes = iter(zip(*(wires_of(node) for node in repeats), strict=True))
        node = repeats[0]

        def wire(_: Node, comes: Any = comes) -> Node:
            wires = next(comes)
            return slots[wires] if wires in slots else new[wires[0]]

        args, kwargs = map_arg((node.args, node.kwargs), wire)
        new[node] = graph.create_node("call_function", node.target, args, kwargs, f"n{len(new)}")
        new[node].meta = dict(node.meta)
    graph.output(tuple(new[node] for node in outputs))
    return GraphModule(nn.Module(), graph)
