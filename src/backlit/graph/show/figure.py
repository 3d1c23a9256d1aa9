"""The teaching figure as numbers: places of gates and wires, before anything is drawn.

Gates stand in layers from left to right, each one column right of its last input; within a
layer they are ordered by the mean place of their neighbours (Sugiyama et al. 1981).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from backlit.graph.show.model import Description, GateInfo, InputWire
from backlit.graph.show.numbers import Stats

HIGH, LEAD, GAP_X, GAP_Y, LETTER = 40.0, 44.0, 84.0, 34.0, 8.2


@dataclass(frozen=True)
class Box:
    """A gate, an input or an output at its centre (x, y), in pixels."""

    name: str
    kind: str
    label: str
    note: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """A wire through its points, with value (above) and gradient (below) at its start.

    A wire that forks has its numbers on its first line only.
    """

    source: str
    target: str
    points: tuple[tuple[float, float], ...]
    value: str = ""
    gradient: str = ""


@dataclass(frozen=True)
class Figure:
    """All that is drawn, in pixels."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers."""
        return asdict(self)


def short(stats: Stats | None) -> str:
    """A number as it stands on a wire; of an array its Euclidean norm, ``‖3.20‖``."""
    if stats is None:
        return ""
    if stats.scalar is not None:
        return _two_digits(float(stats.scalar))
    return f"‖{_two_digits(stats.norm)}‖"


def _two_digits(x: float) -> str:
    plain = x == 0 or 0.01 <= abs(x) < 10_000
    text = f"{x:.2f}" if plain else f"{x:.1e}"
    return "0.00" if text == "-0.00" else text


def figure(d: Description) -> Figure:
    """Places every gate, input and output of a small graph."""
    outputs = {f"→{i}": wire for i, wire in enumerate(d.outputs)}
    edges = [(w.source, w.target) for w in d.wires]
    edges += [(wire.source.split("[")[0], name) for name, wire in outputs.items()]
    used = {source for source, _ in edges}
    boxes: dict[str, tuple[str, str, str, float]] = {}
    for w in d.inputs:
        if w.name in used:
            boxes[w.name] = ("input", w.label, _shape(w.shape), LETTER * len(w.label) + 6)
    for g in d.gates:
        wide = max(HIGH, LETTER * len(g.symbol) + 16)
        boxes[g.name] = (g.role, g.symbol, _shape(g.shape), wide)
    for name, wire in outputs.items():
        boxes[name] = ("output", wire.label, "", LETTER * len(wire.label) + 6)
    edges = list(dict.fromkeys(e for e in edges if e[0] in boxes))
    seen: list[InputWire | GateInfo] = [*d.inputs, *d.gates]
    numbers = {x.name: (short(x.value), short(x.gradient)) for x in seen}
    arrays = any(text.startswith("‖") for pair in numbers.values() for text in pair)
    lead = LEAD + 30 if arrays else LEAD
    places, routes, size = _place({k: b[3] for k, b in boxes.items()}, edges, lead)
    lines, labelled = [], set()
    for (source, target), points in routes.items():
        value, gradient = numbers.get(source, ("", "")) if source not in labelled else ("", "")
        labelled.add(source)
        lines.append(Line(source, target, points, value, gradient))
    return Figure(
        *size,
        tuple(
            Box(name, kind, label, note, *places[name], wide, HIGH)
            for name, (kind, label, note, wide) in boxes.items()
        ),
        tuple(lines),
    )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "×".join(map(str, shape)) if shape else ""


Point = tuple[float, float]
Edge = tuple[str, str]


def _place(
    widths: dict[str, float], edges: list[Edge], lead: float
) -> tuple[dict[str, Point], dict[Edge, tuple[Point, ...]], Point]:
    """Layered places: of the boxes, the points of each edge, and the size of it all."""
    layer = _layers(list(widths), edges)
    chains: dict[Edge, list[str]] = {}
    for source, target in edges:  # a long edge gets a bend in each layer it passes
        bends = [f"{source}>{target}@{k}" for k in range(layer[source] + 1, layer[target])]
        layer |= {bend: layer[source] + 1 + k for k, bend in enumerate(bends)}
        chains[source, target] = [source, *bends, target]
    before: dict[str, list[str]] = {name: [] for name in layer}
    after: dict[str, list[str]] = {name: [] for name in layer}
    for chain in chains.values():
        for a, b in pairwise(chain):
            after[a].append(b)
            before[b].append(a)
    columns: list[list[str]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for name in layer:
        columns[layer[name]].append(name)
    y = _rows(columns, before, after)
    low = min(y.values(), default=0.0)
    y = {name: v - low + HIGH for name, v in y.items()}
    x: dict[str, float] = {}
    right = GAP_X / 3
    for column in columns:
        wide = max(widths.get(name, 0.0) for name in column)
        x |= {name: right + wide / 2 for name in column}
        right += wide + lead + GAP_X - LEAD
    routes: dict[Edge, tuple[Point, ...]] = {}
    for (source, target), chain in chains.items():
        start = (x[source] + widths[source] / 2, y[source])
        end = (x[target] - widths[target] / 2, y[target])
        straight = (min(start[0] + lead, end[0] - 20), start[1])  # its numbers stand there
        turns = [(x[bend], y[bend]) for bend in chain[1:-1]]
        routes[source, target] = tuple(_round(p) for p in (start, straight, *turns, end))
    places = {name: _round((x[name], y[name])) for name in widths}
    return places, routes, _round((right - lead, max(y.values(), default=0.0) + HIGH))


def _layers(names: list[str], edges: list[Edge]) -> dict[str, int]:
    """Longest path from the inputs; then each input one column before its first reader."""
    layer = dict.fromkeys(names, 0)
    readers: dict[str, list[str]] = {}
    for source, target in edges:  # edges come in topological order of their targets
        layer[target] = max(layer[target], layer[source] + 1)
        readers.setdefault(source, []).append(target)
    targets = {target for _, target in edges}
    for name in names:
        if name not in targets and name in readers:
            layer[name] = min(layer[r] for r in readers[name]) - 1
    return layer


def _rows(
    columns: list[list[str]], before: dict[str, list[str]], after: dict[str, list[str]]
) -> dict[str, float]:
    """Heights: orders each column by its neighbours' mean, then pulls boxes towards it."""
    step = HIGH + GAP_Y
    y = {name: i * step for column in columns for i, name in enumerate(column)}

    def mean(names: list[str], otherwise: float) -> float:
        return sum(y[n] for n in names) / len(names) if names else otherwise

    def sweep(order: list[list[str]], sides: Callable[[str], list[str]]) -> None:
        for column in order:
            wish = {name: mean(sides(name), y[name]) for name in column}
            column.sort(key=wish.__getitem__)
            _spread(column, wish, y, step)

    for _ in range(12):
        sweep(columns, before.__getitem__)
        sweep(columns[::-1], after.__getitem__)
    sweep(columns, lambda name: before[name] + after[name])
    sweep(columns, lambda name: before[name] or after[name])
    return y


def _spread(column: list[str], wish: dict[str, float], y: dict[str, float], step: float) -> None:
    """Nearest heights to the wished ones that keep the order and a step between boxes."""
    runs: list[tuple[float, int]] = []  # (sum of shifted wishes, boxes) of boxes that touch
    for i, name in enumerate(column):
        total, n = wish[name] - i * step, 1
        while runs and runs[-1][0] / runs[-1][1] >= total / n:
            other, m = runs.pop()
            total, n = total + other, n + m
        runs.append((total, n))
    i = 0
    for total, n in runs:
        for _ in range(n):
            y[column[i]] = total / n + i * step
            i += 1


def _round(point: Point) -> Point:
    return round(point[0], 1), round(point[1], 1)
