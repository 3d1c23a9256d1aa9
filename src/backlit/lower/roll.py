"""A flat graph's repeated stretches, such as the time steps of a recurrent net, as calls of one.

Compiled as one graph, a net unrolled over 64 steps takes minutes; the stretch that repeats takes
seconds, and what lies before, between and behind the loops little more. Every piece is a
contiguous part of the graph in its own order, so that putting it together needs no search.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import getitem
from typing import Any

from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg
from torch.fx.passes.fake_tensor_prop import FakeTensorProp

from backlit.gates.base import aten
from backlit.lower.passes.common import value, writes

WORTH_REPEATS = 16
"""Fewer are compiled as they stand: what is fused over their borders is worth more."""
Inputs = dict[tuple[Node, ...], None]  # of each wire that comes in, the node in every repeat
_PARTS = {aten.select.int, aten.slice.Tensor, getitem}
_MOST_ALIKE = 8  # products of one kind in a stretch
_PRODUCTS = {aten.mm.default, aten.addmm.default, aten.bmm.default}


@dataclass(frozen=True)
class _Loop:
    """`repeats` stretches of `period` nodes, from the node at `start` on."""

    start: int
    period: int
    repeats: int = 1

    @property
    def end(self) -> int:
        return self.start + self.period * self.repeats


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
    products = Counter(n.target for n in nodes if n.target in _PRODUCTS)
    if max(products.values(), default=0) < WORTH_REPEATS:
        return None
    # Each piece is compiled for the layout that its inputs really have.
    FakeTensorProp(gm).propagate(*inputs)
    _take_parts_early(gm.graph)
    _widen_where_read(gm.graph)
    nodes = [n for n in gm.graph.nodes if n.op == "call_function"]
    loops = _loops(nodes)
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


def _put_together(gm: GraphModule, nodes: list[Node], loops: list[_Loop]) -> GraphModule | None:
    position = {node: i for i, node in enumerate(nodes)}
    ends = [0, *(loop.end for loop in loops)]
    starts = [*(loop.start for loop in loops), len(nodes)]
    between = [_Loop(a, b - a) for a, b in zip(ends, starts, strict=True) if a < b]
    graph = Graph()
    new: dict[Node, Node] = {}
    for node in gm.graph.nodes:
        if node.op == "placeholder":
            new[node] = graph.placeholder(node.name)
    modules: dict[str, GraphModule] = {}
    for loop in sorted([*between, *loops], key=lambda loop: loop.start):
        inputs, outputs = _crossing(nodes, position, loop)
        if not _tensors(inputs, outputs):
            return None
        name = f"piece_{len(modules)}"
        modules[name] = _piece(nodes, position, loop, inputs, outputs)
        for repeat in range(loop.repeats):
            call = graph.call_module(name, tuple(new[wires[repeat]] for wires in inputs))
            for i, node in enumerate(outputs):
                later = nodes[position[node] + repeat * loop.period]
                new[later] = graph.call_function(getitem, (call, i))
    output = next(iter(reversed(gm.graph.nodes)))
    graph.output(map_arg(output.args[0], new.__getitem__))
    return GraphModule(nn.ModuleDict(modules), graph)


def _piece(
    nodes: Sequence[Node],
    position: dict[Node, int],
    loop: _Loop,
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
        comes = iter(zip(*(_wires(node) for node in repeats), strict=True))
        node = repeats[0]

        def wire(_: Node, comes: Any = comes) -> Node:
            wires = next(comes)
            return slots[wires] if wires in slots else new[wires[0]]

        args, kwargs = map_arg((node.args, node.kwargs), wire)
        new[node] = graph.create_node("call_function", node.target, args, kwargs, f"n{len(new)}")
        new[node].meta = dict(node.meta)
    graph.output(tuple(new[node] for node in outputs))
    return GraphModule(nn.Module(), graph)


def _loops(nodes: Sequence[Node]) -> list[_Loop]:
    kinds: dict[str, int] = {}
    ids = [kinds.setdefault(_kind(n, i), len(kinds)) for i, n in enumerate(nodes)]
    where = defaultdict(list)
    for i, node in enumerate(nodes):
        if node.target in _PRODUCTS:
            where[ids[i]].append(i)
    found: list[_Loop] = []
    for places in where.values():
        for period, place in _periods(places):
            loop = _around(nodes, ids, place, period)
            if loop and all(loop.end <= o.start or o.end <= loop.start for o in found):
                found.append(loop)
    return sorted(found, key=lambda loop: loop.start)


def _periods(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Distances at which products of one kind come again often enough, each with a place."""
    for apart in range(1, _MOST_ALIKE + 1):
        pairs = list(zip(places, places[apart:], strict=False))
        for period, count in Counter(b - a for a, b in pairs).items():
            if count >= WORTH_REPEATS - 1:
                yield period, next(a for a, b in pairs if b - a == period)


def _around(nodes: Sequence[Node], ids: list[int], place: int, period: int) -> _Loop | None:
    """The longest loop of a period that goes through a node, cut where the fewest wires cross."""
    first = last = place
    while first > 0 and ids[first - 1] == ids[first - 1 + period]:
        first -= 1
    while last + period < len(ids) and ids[last] == ids[last + period]:
        last += 1
    most = (last + period - first) // period
    position = {node: i for i, node in enumerate(nodes)}
    best: tuple[tuple[int, bool], _Loop] | None = None
    for turn in range(period):
        repeats = (last + period - first - turn) // period
        loop = _regular(nodes, position, _Loop(first + turn, period, repeats))
        if loop.repeats < max(WORTH_REPEATS, most - 2):
            continue
        inputs, outputs = _crossing(nodes, position, loop)
        # What follows a product up to the next one can be fused.
        costs = len(inputs) + len(outputs), nodes[loop.start].target not in _PRODUCTS
        if _tensors(inputs, outputs) and (best is None or costs < best[0]):
            best = costs, loop
    return best[1] if best else None


def _regular(nodes: Sequence[Node], position: dict[Node, int], loop: _Loop) -> _Loop:
    """The repeats, from the middle outwards, whose inner wires all run the same way."""

    def inner(repeat: int) -> list[int]:
        base = loop.start + repeat * loop.period
        stretch = nodes[base : base + loop.period]
        offsets = [position.get(wire, -1) - base for node in stretch for wire in _wires(node)]
        return [offset if 0 <= offset < loop.period else -1 for offset in offsets]

    middle = loop.repeats // 2
    pattern = inner(middle)
    low = high = middle
    while low > 0 and inner(low - 1) == pattern:
        low -= 1
    while high + 1 < loop.repeats and inner(high + 1) == pattern:
        high += 1
    return _Loop(loop.start + low * loop.period, loop.period, high + 1 - low)


def _crossing(
    nodes: Sequence[Node], position: dict[Node, int], loop: _Loop
) -> tuple[Inputs, list[Node]]:
    """What comes into the stretches, and what of the first is used outside, in any repeat."""
    inputs: Inputs = {}
    outputs: list[Node] = []
    for offset in range(loop.period):
        repeats = nodes[loop.start + offset : loop.end : loop.period]
        for wires in zip(*(_wires(node) for node in repeats), strict=True):
            if not _inside(position, loop, loop.start + offset, wires[0]):
                inputs[wires] = None
        if any(
            not _inside(position, loop, position[node], user)
            for node in repeats
            for user in node.users
        ):
            outputs.append(repeats[0])
    return inputs, outputs


def _tensors(inputs: Inputs, outputs: Sequence[Node]) -> bool:
    """Whether nothing but tensors crosses."""
    crossing = [*outputs, *(wires[0] for wires in inputs)]
    return all(isinstance(value(node), Tensor) for node in crossing)


def _inside(position: dict[Node, int], loop: _Loop, place: int, other: Node) -> bool:
    """Whether another node lies in the same repeat as the one at a place."""
    base = place - (place - loop.start) % loop.period
    return base <= position.get(other, -1) < base + loop.period


def _wires(node: Node) -> list[Node]:
    """The nodes among a gate's arguments, in order, each as often as it stands there."""
    found: list[Node] = []
    map_arg((node.args, node.kwargs), found.append)  # type: ignore[arg-type]
    return found


def _kind(node: Node, index: int) -> str:
    """What two gates must share to be a repeat of each other; a write is like no other."""
    if writes(node):
        return f"write {index}"

    def layout(wire: Node) -> Any:
        return _Layout(value(wire))

    return f"{node.target} {map_arg((node.args, node.kwargs), layout)} {layout(node)}"


class _Layout:
    def __init__(self, like: Any):
        self._like = like

    def __repr__(self) -> str:
        like = self._like
        if isinstance(like, (tuple, list)):
            return str([_Layout(part) for part in like])
        if not isinstance(like, Tensor):
            return "?"
        return f"<{list(like.shape)} {like.stride()} {like.dtype} {like.device}>"
