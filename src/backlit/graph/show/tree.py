"""The tree a large graph is read by: phases, modules, runs of equal blocks folded.

A reader opens one level at a time, so no level may be long: equal neighbours become one
"× 12", and what is still long is cut into parts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from backlit.graph.show.model import GateInfo, Group

LONG = 100  # items of one level before it is cut into parts
STATE = "new state"
PERIOD = 64  # longest block looked for


@dataclass(eq=False)
class _Box:
    label: str
    kind: str
    type: str = ""
    path: str = ""
    items: list[Item] = field(default_factory=list)
    repeats: int = 1


Item = GateInfo | _Box


def tree(
    gates: Sequence[GateInfo], title: str, parameters: dict[str, dict[str, int]]
) -> tuple[Group, ...]:
    """The groups of a graph; the first is the whole.

    Args:
        parameters: for each gate, the numbers held by the parameters it reads, by name.
    """
    root = _Box(title, "graph")
    boxes: dict[Hashable, _Box] = {}

    def inside(parent: _Box, key: Hashable, label: str, kind: str, path: str = "") -> _Box:
        if key not in boxes:
            boxes[key] = _Box(label, kind, path=path)
            parent.items.append(boxes[key])
        return boxes[key]

    for gate, passage in zip(gates, _passages(gates), strict=True):
        box = root
        if passage:
            box = inside(root, passage, passage, "phase")
        parts = gate.module.split(".") if gate.module else []
        for depth in range(len(parts)):
            path = ".".join(parts[: depth + 1])
            box = inside(box, (passage, path), parts[depth], "module", path)
        if box.kind != "phase":
            box.type = gate.module_type or box.type
        box.items.append(gate)
    root.items.sort(key=lambda item: isinstance(item, _Box) and item.label == STATE)
    if len(gates) > 40:  # a small graph is shown as it is
        _fold(root)
    return tuple(_freeze(root, parameters))


def _passages(gates: Sequence[GateInfo]) -> list[str]:
    """For each gate the phase it is shown in; empty where the graph has one phase only.

    A phase that comes back is another one: after an update (a second batch of fakes), and where
    it would lead back into itself (the gradient of a gradient).
    """
    phases = [gate.phase for gate in gates]
    following = ""
    for i in reversed(range(len(gates))):
        following = phases[i] = phases[i] or following
    names: list[str] = []  # of the passages, in order
    current: dict[tuple[int, str, str], int] = {}
    place: dict[str, int] = {}  # the passage of each gate
    behind: dict[str, int] = {}  # the passages that lead to it, its own included, as bits
    updates, updating = 0, False
    for gate, phase in zip(gates, phases, strict=True):
        if updating and gate.role not in ("update", "state"):
            updates += 1
        updating = gate.role == "update"
        key = (0, STATE, "state") if gate.role == "state" else (updates, phase, gate.role)
        sources = [s for s in (wire.split("[")[0] for wire in gate.inputs) if s in place]
        mine = current.get(key)
        if mine is None or (
            gate.role != "state"
            and any(place[s] != mine and behind[s] >> mine & 1 for s in sources)
        ):
            label = (phase or gate.role) if gate.role != "state" else STATE
            label += " · backward" if phase and gate.role == "backward" else ""
            again = sum(name.split(" (")[0] == label for name in names)
            mine = current[key] = len(names)
            names.append(f"{label} ({again + 1})" if again else label)
        place[gate.name] = mine
        behind[gate.name] = 1 << mine
        for source in sources:
            behind[gate.name] |= behind[source]
    return [names[place[gate.name]] if len(names) > 1 else "" for gate in gates]


def _fold(box: _Box) -> None:
    """Below `box`: equal neighbours become one group, long lists become parts."""
    signs: dict[int, Hashable] = {}
    _sign(box, signs)
    _fold_signed(box, signs)


def _sign(item: Item, signs: dict[int, Hashable]) -> Hashable:
    """What two items must share to count as equal: the same operations in the same nesting."""
    if isinstance(item, GateInfo):
        sign: Hashable = item.operator
    else:
        sign = hash((item.type, tuple(_sign(i, signs) for i in item.items)))
    signs[id(item)] = sign
    return sign


def _fold_signed(box: _Box, signs: dict[int, Hashable]) -> None:
    for item in box.items:
        if isinstance(item, _Box):
            _fold_signed(item, signs)
    if any(isinstance(item, _Box) and item.kind == "phase" for item in box.items):
        return  # each phase has its own meaning, however equal their gates
    new: list[Item] = []
    for start, period, repeats in _runs(box.items, [signs[id(i)] for i in box.items]):
        run = box.items[start : start + period * repeats]
        if repeats == 1:
            new += run
            continue
        blocks: list[Item] = list(run)
        if period > 1:
            blocks = []
            for k in range(repeats):
                part = run[k * period : (k + 1) * period]
                blocks.append(_Box(_span(part, k), "block", items=part))
        untyped = period == 1 and isinstance(run[0], _Box) and not run[0].type
        what = _span(run, 0) if untyped else _names(run[:period])
        label = f"{what} × {repeats}"
        new.append(_Box(label, "repeat", items=_parts(blocks), repeats=repeats))
    only = new[0] if len(new) == 1 else None
    if isinstance(only, _Box) and box.kind in ("module", "phase"):  # two boxes that hold the same
        _merge(box, only)
    else:
        box.items = _parts(new)


def _merge(box: _Box, only: _Box) -> None:
    box.items, box.repeats = only.items, only.repeats
    if only.kind == "repeat":
        box.label, box.kind = f"{box.label}: {only.label}", "repeat"
    elif box.kind == "phase":
        box.type, box.path = only.type, only.path
    else:
        box.label, box.path = f"{box.label}.{only.label}", only.path
        box.type = only.type


def _runs(items: list[Item], signs: list[Hashable]) -> Iterator[tuple[int, int, int]]:
    """Cuts a list into (start, period, repeats); repeats is 1 where nothing repeats."""
    n = len(items)
    numbers = {s: i for i, s in enumerate(dict.fromkeys(signs))}
    ids = [numbers[s] for s in signs]
    agree: dict[int, list[int]] = {}  # for each period, how far items equal those a period on
    for period in range(1, min(PERIOD, n // 2) + 1):
        reach = [0] * (n + 1)
        for i in range(n - period - 1, -1, -1):
            reach[i] = reach[i + 1] + 1 if ids[i] == ids[i + period] else 0
        agree[period] = reach
    start = 0
    while start < n:
        best = (1, 1)
        for period, reach in agree.items():
            repeats = reach[start] // period + 1
            if period * repeats > best[0] * best[1] and repeats >= _least(items[start:], period):
                best = (period, repeats)
        yield start, *best
        start += best[0] * best[1]


def _least(items: list[Item], period: int) -> int:
    """How often a block must come to be worth folding: the larger it is, the less often."""
    block = items[:period]
    if all(isinstance(item, GateInfo) for item in block):
        return 8 if period == 1 else 4
    if any(isinstance(i, _Box) and any(isinstance(j, _Box) for j in i.items) for i in block):
        return 2
    return 4 if period == 1 else 3


def _name(item: Item) -> str:
    return item.kind if isinstance(item, GateInfo) else item.type or item.label


def _names(items: list[Item]) -> str:
    names = [_name(item) for item in items]
    short = names if len(names) <= 3 else [*names[:3], "…"]
    return short[0] if len(names) == 1 else f"({', '.join(short)})"


def _span(items: list[Item], k: int) -> str:
    paths = [i.path.rpartition(".")[2] for i in items if isinstance(i, _Box) and i.path]
    return f"{paths[0]} … {paths[-1]}" if len(paths) > 1 else (paths or [f"block {k + 1}"])[0]


def _parts(items: list[Item]) -> list[Item]:
    """A long list as parts of equal length, as often as needed."""
    while len(items) > LONG:
        size = max(round(len(items) ** 0.5), 20)
        cut = [items[i : i + size] for i in range(0, len(items), size)]
        items = [
            _Box(f"{i * size + 1} to {i * size + len(part)}", "part", items=part)
            for i, part in enumerate(cut)
        ]
    return items


def _freeze(root: _Box, parameters: dict[str, dict[str, int]]) -> list[Group]:
    numbers = count()
    done: list[Group | None] = []

    def visit(box: _Box) -> tuple[str, int, dict[str, int]]:
        place = next(numbers)
        done.append(None)
        total, held, items = 0, {}, []
        for item in box.items:
            if isinstance(item, _Box):
                name, gates, below = visit(item)
                total += gates
                held.update(below)
                items.append(name)
            else:
                total += 1
                held.update(parameters.get(item.name, {}))
                items.append(item.name)
        name = f"#{place}"
        done[place] = Group(
            name,
            box.label,
            box.kind,
            box.type,
            box.path,
            tuple(items),
            box.repeats,
            total,
            sum(held.values()),
        )
        return name, total, held

    visit(root)
    return [group for group in done if group is not None]
