"""The graph as text: a table of gates where it is small, of modules where it is large."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterable, Sequence

from backlit.errors import GateError
from backlit.graph.show.model import Description, GateInfo, Group
from backlit.graph.show.numbers import Stats

SMALL = 40
LEVELS = ("phase", "module", "gates")


def text(d: Description, width: int | None = None) -> str:
    """A table of the gates up to 40 of them, else an overview by module.

    Args:
        width: in characters; default the terminal's.
    """
    return table(d, width) if len(d.gates) <= SMALL else overview(d, "module", width)


def table(d: Description, width: int | None = None) -> str:
    """Every gate in a row: inputs, shape, value, local gradient, gradient."""
    arrays = any(w.shape for w in d.inputs) or any(g.shape for g in d.gates)
    rows = [
        _drop_empty(d, arrays, [w.label, w.kind, "", _shape(w.shape), _value(w.value)])
        + _numbers(d, "", w.gradient)
        for w in d.inputs
    ]
    for g in d.gates:
        row = [g.name, g.kind, ", ".join(g.arguments), _shape(g.shape), _value(g.value)]
        rows.append(_drop_empty(d, arrays, row) + _numbers(d, _local(g), g.gradient))
    head = ["name", "gate", "inputs", "shape", "value"]
    head = _drop_empty(d, arrays, head) + (
        ["local gradient", "gradient"] if d.watched else ["local gradient"]
    )
    body = columns([head, *rows], width, rules={0, len(d.inputs)} if d.inputs else {0})
    return f"{_headline(d)}\n{body}"


def _drop_empty(d: Description, arrays: bool, row: list[str]) -> list[str]:
    return row[:3] + (row[3:4] if arrays else []) + (row[4:5] if d.watched else [])


def _numbers(d: Description, local: str, gradient: Stats | None) -> list[str]:
    return [local, _value(gradient)] if d.watched else [local]


def _local(g: GateInfo) -> str:
    if g.local_values is None:
        return g.local
    sides = g.local.split(", ")
    if len(sides) < len(g.local_values):
        return ", ".join(number(v) for v in g.local_values)
    shown = []
    for side, value in zip(sides, g.local_values, strict=False):
        same = side.rsplit("= ", 1)[-1].replace("−", "-") == number(value)
        shown.append(side if same else f"{side} = {number(value)}")
    return ", ".join(shown)


def overview(d: Description, level: str = "module", width: int | None = None) -> str:
    """The tree of phases and modules: gates, parameters, output, gradient, share of time.

    Args:
        level: ``"phase"`` for the top level alone, ``"module"``, or ``"gates"`` for all of it.
    """
    if level not in LEVELS:
        raise GateError(f"level: expected one of {', '.join(LEVELS)}, got '{level}'")
    gates = {g.name: g for g in d.gates}
    groups = {g.name: g for g in d.groups}
    total = sum((g.forward_s or 0) + (g.backward_s or 0) for g in d.gates)
    rows: list[list[str]] = []

    def row(indent: int, name: str, kind: str, count: str, params: str, inside: Sequence[GateInfo]):
        last = next((g for g in reversed(inside) if g.role == "forward"), None)
        last = last or (inside[-1] if inside else None)
        cells = ["  " * indent + name, kind, count, params, _shape(last.shape) if last else ""]
        if d.watched:
            cells.append(_norm(last.gradient) if last else "")
        if d.timed:
            spent = sum((g.forward_s or 0) + (g.backward_s or 0) for g in inside)
            cells.append(f"{spent / total:.1%}" if total else "")
        rows.append(cells)

    def below(group: Group) -> list[GateInfo]:
        found: list[GateInfo] = []
        for item in group.items:
            found += below(groups[item]) if item in groups else [gates[item]]
        return found

    def visit(group: Group, indent: int) -> None:
        inside = below(group)
        params = f"{group.parameters:,}" if group.parameters else ""
        row(indent, group.label, group.type, f"{group.gates:,}", params, inside)
        if level == "phase" and indent >= 1:
            return
        items = group.items
        if group.kind == "repeat" and level != "gates" and items[0] in groups:
            items = items[:1]  # the others are equal
        for item in items:
            if item in groups:
                if groups[item].kind not in ("block", "part") or level == "gates":
                    visit(groups[item], indent + 1)
                elif groups[item].kind == "block":
                    for inner in groups[item].items:
                        if inner in groups:
                            visit(groups[inner], indent + 1)
            elif level == "gates":
                row(indent + 1, item, gates[item].kind, "", "", [gates[item]])

    visit(d.groups[0], 0)
    head = ["module", "type", "gates", "parameters", "output"]
    head += ["‖gradient‖"] if d.watched else []
    head += ["time"] if d.timed else []
    body = columns([head, *rows], width, rules={0}, right={2, 3, 5, 6})
    return f"{_headline(d)}\n{body}"


def card(d: Description, name: str, width: int | None = None) -> str:
    """Everything known of one gate.

    Raises:
        GateError: no gate of that name; the text names the nearest ones.
    """
    found = {g.name: g for g in d.gates}
    if name not in found:
        near = difflib.get_close_matches(name, list(found), 3, 0.4)
        hint = f"nearest: {', '.join(near)}" if near else "print the graph for their names"
        raise GateError(f"expected a gate of this graph, got '{name}'; {hint}")
    g = found[name]
    users = list(dict.fromkeys(wire.target for wire in d.wires if wire.source == name))
    made = [b.name for b in d.gates if b.of == name and b.role == "backward"]
    lines = [
        ("gate", f"{g.kind}  ({g.operator})"),
        ("forward", g.formula),
        ("local", _local(g)),
        ("inputs", ", ".join(g.arguments)),
        ("goes to", _some(users)),
        ("shape", f"{_shape(g.shape) or '()'} {g.dtype}"),
        ("module", f"{g.module} ({g.module_type})" if g.module else g.module_type),
        ("source", f"{g.source}  {g.code}" if g.source else ""),
        ("phase", f"{g.phase}, {g.role}" if g.phase else g.role),
        ("rule of", g.of),
        ("its rule", _some(made)),
        ("value", _stats(g.value)),
        ("gradient", _stats(g.gradient)),
        ("time", _times(g)),
    ]
    width = _width(width)
    return "\n".join([name, *(f"  {k:<9}{v}"[:width] for k, v in lines if v)])


def columns(
    rows: Sequence[Sequence[str]],
    width: int | None = None,
    rules: Iterable[int] = (),
    right: Iterable[int] = (),
) -> str:
    """Rows as aligned columns; the widest column gives way where the terminal is narrow.

    Args:
        rules: rows below which a line is drawn. right: columns set to the right.
    """
    width, right = _width(width), set(right)
    sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    while sum(sizes) + 2 * (len(sizes) - 1) > width and max(sizes) > 4:
        sizes[sizes.index(max(sizes))] -= 1
    lines = []
    for number_, row in enumerate(rows):
        cells = []
        for i, (cell, size) in enumerate(zip(row, sizes, strict=True)):
            cell = cell if len(cell) <= size else cell[: size - 1] + "…"
            cells.append(cell.rjust(size) if i in right else cell.ljust(size))
        lines.append("  ".join(cells).rstrip())
        if number_ in rules:
            lines.append("─" * min(width, sum(sizes) + 2 * (len(sizes) - 1)))
    return "\n".join(lines)


def number(x: float) -> str:
    """Four significant digits; ``0`` for a zero of either sign."""
    return f"{x:.4g}" if x else "0"


def _width(width: int | None) -> int:
    return width or shutil.get_terminal_size((100, 24)).columns


def _headline(d: Description) -> str:
    made = f"{len(d.gates):,} gates"
    return f"{d.title}: {made}, {d.parameters:,} parameters" if d.parameters else made


def _shape(shape: tuple[int, ...] | None) -> str:
    return "×".join(map(str, shape)) if shape else ""


def _value(stats: Stats | None) -> str:
    if stats is None:
        return ""
    if stats.scalar is not None:
        return number(float(stats.scalar))
    return f"‖{number(stats.norm)}‖"


def _norm(stats: Stats | None) -> str:
    return "" if stats is None else f"{stats.norm:.2e}"


def _stats(stats: Stats | None) -> str:
    if stats is None or stats.count == 1:
        return _value(stats)
    span = f"({number(stats.minimum)} … {number(stats.maximum)})"
    parts = [
        f"mean {number(stats.mean)} {span}",
        f"norm {number(stats.norm)}",
        f"zeros {stats.zeros:.0%}",
    ]
    if stats.saturated is not None:
        parts.append(f"saturated {stats.saturated:.0%}")
    if stats.nonfinite:
        parts.append(f"NaN or infinite {stats.nonfinite:.0%}")
    return ", ".join(parts)


def _times(g: GateInfo) -> str:
    parts = [("forward", g.forward_s), ("backward", g.backward_s)]
    return ", ".join(f"{k} {s * 1e6:,.1f} µs" for k, s in parts if s is not None)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
