"""Where a flat graph repeats itself: stretches of equal gates, wired alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

from backlit.gates.base import aten
from backlit.lower.passes.common import nodes_in, value, writes

WORTH_REPEATS = 16
"""Fewer are compiled as they stand: what is fused over their borders is worth more."""
PRODUCTS = {aten.mm.default, aten.addmm.default, aten.bmm.default}
"""A stretch has one of these at least."""
Inputs = dict[tuple[Node, ...], None]
"""Of each wire that comes into a loop's stretches, the node in every repeat."""
_MOST_ALIKE = 8  # products of one kind in a stretch


@dataclass(frozen=True)
class Loop:
    """`repeats` stretches of `period` nodes, from the node at `start` on."""

    start: int
    period: int
    repeats: int = 1

    @property
    def end(self) -> int:
        return self.start + self.period * self.repeats


def find_loops(nodes: Sequence[Node]) -> list[Loop]:
    """The longest loops of a graph's gates in order, none within another.

    Args:
        nodes: they know their value's layout (``meta["val"]``).
    """
    kinds: dict[str, int] = {}
    ids = [kinds.setdefault(_kind(n, i), len(kinds)) for i, n in enumerate(nodes)]
    where = defaultdict(list)
    for i, node in enumerate(nodes):
        if node.target in PRODUCTS:
            where[ids[i]].append(i)
    position = {node: i for i, node in enumerate(nodes)}
    found: list[Loop] = []
    for places in where.values():
        for period, begins in _periods(places):
            looked_at = 0
            for place in begins:
                if place < looked_at or any(loop.start <= place < loop.end for loop in found):
                    continue
                first, last = _alike(ids, place, period)
                looked_at = last + period
                loop = _cut(nodes, position, first, last, period)
                if loop and all(loop.end <= o.start or o.end <= loop.start for o in found):
                    found.append(loop)
    return sorted(found, key=lambda loop: loop.start)


def _periods(places: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Distances at which products of one kind come again often enough, each with its places."""
    for apart in range(1, _MOST_ALIKE + 1):
        pairs = list(zip(places, places[apart:], strict=False))
        for period, count in Counter(b - a for a, b in pairs).items():
            if count >= WORTH_REPEATS - 1:
                yield period, [a for a, b in pairs if b - a == period]


def _alike(ids: list[int], place: int, period: int) -> tuple[int, int]:
    """The longest range of gates around a place that are as those a period later."""
    first = last = place
    while first > 0 and ids[first - 1] == ids[first - 1 + period]:
        first -= 1
    while last + period < len(ids) and ids[last] == ids[last + period]:
        last += 1
    return first, last


def _cut(
    nodes: Sequence[Node], position: dict[Node, int], first: int, last: int, period: int
) -> Loop | None:
    """The loop in a range, cut where the fewest wires cross."""
    most = (last + period - first) // period
    if most < WORTH_REPEATS:
        return None
    best: tuple[tuple[int, bool], Loop] | None = None
    for turn in range(period):
        repeats = (last + period - first - turn) // period
        loop = _regular(nodes, position, Loop(first + turn, period, repeats))
        if loop.repeats < max(WORTH_REPEATS, most - 2):
            continue
        inputs, outputs = crossing(nodes, position, loop)
        # What follows a product up to the next one can be fused.
        costs = len(inputs) + len(outputs), nodes[loop.start].target not in PRODUCTS
        if only_tensors(inputs, outputs) and (best is None or costs < best[0]):
            best = costs, loop
    return best[1] if best else None


def _regular(nodes: Sequence[Node], position: dict[Node, int], loop: Loop) -> Loop:
    """The repeats, from the middle outwards, whose inner wires all run the same way."""

    def inner(repeat: int) -> list[int]:
        base = loop.start + repeat * loop.period
        stretch = nodes[base : base + loop.period]
        offsets = [position.get(wire, -1) - base for node in stretch for wire in wires_of(node)]
        return [offset if 0 <= offset < loop.period else -1 for offset in offsets]

    middle = loop.repeats // 2
    pattern = inner(middle)
    low = high = middle
    while low > 0 and inner(low - 1) == pattern:
        low -= 1
    while high + 1 < loop.repeats and inner(high + 1) == pattern:
        high += 1
    return Loop(loop.start + low * loop.period, loop.period, high + 1 - low)


def crossing(
    nodes: Sequence[Node], position: dict[Node, int], loop: Loop
) -> tuple[Inputs, list[Node]]:
    """What comes into the stretches, and what of the first is used outside, in any repeat."""
    inputs: Inputs = {}
    outputs: list[Node] = []
    for offset in range(loop.period):
        repeats = nodes[loop.start + offset : loop.end : loop.period]
        for wires in zip(*(wires_of(node) for node in repeats), strict=True):
            if not _inside(position, loop, loop.start + offset, wires[0]):
                inputs[wires] = None
        if any(
            not _inside(position, loop, position[node], user)
            for node in repeats
            for user in node.users
        ):
            outputs.append(repeats[0])
    return inputs, outputs


def only_tensors(inputs: Inputs, outputs: Sequence[Node]) -> bool:
    """Whether nothing but tensors crosses."""
    crossing = [*outputs, *(wires[0] for wires in inputs)]
    return all(isinstance(value(node), Tensor) for node in crossing)


def _inside(position: dict[Node, int], loop: Loop, place: int, other: Node) -> bool:
    """Whether another node lies in the same repeat as the one at a place."""
    base = place - (place - loop.start) % loop.period
    return base <= position.get(other, -1) < base + loop.period


def wires_of(node: Node) -> list[Node]:
    """The nodes among a gate's arguments."""
    return nodes_in((node.args, node.kwargs))


def _kind(node: Node, index: int) -> str:
    """What two gates must share to be a repeat of each other; a write is like no other."""
    if writes(node):
        return f"write {index}"

    def layout(wire: Node) -> str:
        return _layout(value(wire))

    return f"{node.target} {map_arg((node.args, node.kwargs), layout)} {layout(node)}"


def _layout(like: Any) -> str:
    if isinstance(like, (tuple, list)):
        return str([_layout(part) for part in like])
    if not isinstance(like, Tensor):
        return "?"
    return f"<{list(like.shape)} {like.stride()} {like.dtype} {like.device}>"
