"""The graph as one self-contained page: no network, no server, opens from a file.

The page carries a compact JSON of the description and lays out only what is open, so its cost
follows what is seen and not the number of gates.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from typing import Any

from backlit.graph.show.model import Description
from backlit.graph.show.numbers import Stats

_SCRIPTS = ("data", "layout", "draw", "card", "strip", "main")

_MOST_OUTPUTS = 12  # each is a line of its own in the drawing


def page(d: Description) -> str:
    """The page's whole HTML text."""
    room = files("backlit.graph.show")
    here = room / "page_files"
    dagre = (room / "vendor" / "dagre.min.js").read_text(encoding="utf-8")
    dagre = re.sub(r"\n//# sourceMappingURL=.*", "", dagre)
    notice = (room / "vendor" / "LICENSE").read_text(encoding="utf-8")
    scripts = [(here / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    parts = {
        "TITLE": escape(d.title),
        "STYLE": (here / "style.css").read_text(encoding="utf-8"),
        "DAGRE": f"/* dagre\n{notice}*/\n{dagre}",
        "SCRIPT": "\n".join(scripts),
        "GRAPH": embedded(compact(d)),
    }
    template = (here / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def embedded(value: Any) -> str:
    """JSON that is safe inside a script element, whatever the strings hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def compact(d: Description) -> dict[str, Any]:
    """The description in columns: every string once, every name as a number.

    Gates are 0 … n-1, input wires n … n+m-1; groups are ``-1 - index``.
    """
    strings: dict[str, int] = {}

    def s(text: str) -> int:
        return strings.setdefault(text, len(strings))

    names = [*(g.name for g in d.gates), *(w.name for w in d.inputs)]
    ends = {name: i for i, name in enumerate(names)}
    labels = {w.name: w.label for w in d.inputs}
    items = ends | {group.name: -1 - i for i, group in enumerate(d.groups)}
    kinds: dict[tuple[str, ...], int] = {}
    rows = [kinds.setdefault((g.kind, g.operator, g.formula, g.local), len(kinds)) for g in d.gates]
    columns: dict[str, list[Any]] = {
        "name": [g.name for g in d.gates],
        "kind": rows,
        "symbol": [s(g.symbol) for g in d.gates],
        "arguments": [
            _arguments(g.arguments, [labels.get(i, i) for i in g.inputs]) for g in d.gates
        ],
        "shape": [s(_shape(g.shape)) for g in d.gates],
        "value": [_stats(g.value) for g in d.gates],
        "gradient": [_stats(g.gradient) for g in d.gates],
        "local": [_rounded(g.local_values) for g in d.gates],
        "forward_us": [_micro(g.forward_s) for g in d.gates],
        "backward_us": [_micro(g.backward_s) for g in d.gates],
        "of": [ends.get(g.of, -1) for g in d.gates],
    }
    for name in ("dtype", "module", "module_type", "source", "code", "phase", "role"):
        columns[name] = [s(getattr(g, name)) for g in d.gates]
    return {
        "title": d.title,
        "parameters": d.parameters,
        "kinds": list(kinds),
        "gates": {name: _once(column) for name, column in columns.items()},
        "inputs": [
            [w.label, w.kind, _shape(w.shape), w.dtype, _stats(w.value), _stats(w.gradient)]
            for w in d.inputs
        ],
        "outputs": _few([[w.label, ends[w.source.split("[")[0]], w.kind] for w in d.outputs]),
        "wires": [n for w in d.wires for n in (ends[w.source], w.part, ends[w.target])],
        "groups": [
            [
                *(g.label, g.kind, g.type, g.path, [items[i] for i in g.items]),
                *(g.repeats, g.gates, g.parameters),
            ]
            for g in d.groups
        ],
        "depth": [
            [c.strip, c.label, items[c.group], ends[c.gate], _round(c.norm), c.log10]
            for c in d.depth
        ],
        "strings": list(strings),
    }


def _few(outputs: list[list[Any]]) -> list[list[Any]]:
    """The first outputs, then one that stands for the rest: a gradient graph has thousands."""
    if len(outputs) <= _MOST_OUTPUTS:
        return outputs
    _, source, kind = outputs[_MOST_OUTPUTS - 1]
    rest = len(outputs) - _MOST_OUTPUTS + 1
    return [*outputs[: _MOST_OUTPUTS - 1], [f"and {rest:,} more", source, kind]]


def _arguments(arguments: Iterable[str], inputs: list[str]) -> list[str] | int:
    """Only where they say more than the wires do."""
    arguments = list(arguments)
    return 0 if arguments == inputs else arguments


def _once(column: list[Any]) -> Any:
    """A column whose entries are all the same, as that one entry."""
    return [column[0]] if column and all(entry == column[0] for entry in column) else column


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else "×".join(map(str, shape))


def _round(x: float) -> float | None:
    return float(f"{x:.5g}") if math.isfinite(x) else None


def _rounded(values: Iterable[float] | None) -> list[float | None] | int:
    return 0 if values is None else [_round(v) for v in values]


def _micro(seconds: float | None) -> float:
    return -1 if seconds is None else round(seconds * 1e6, 1)


def _stats(x: Stats | None) -> list[Any] | int:
    if x is None:
        return 0
    p = x.picture
    scalar = None if x.scalar is None else str(x.scalar) if x.nonfinite else _round(x.scalar)
    return [
        x.count,
        scalar,
        *(_round(v) for v in (x.minimum, x.maximum, x.mean, x.norm, x.zeros, x.nonfinite)),
        None if x.saturated is None else _round(x.saturated),
        list(x.histogram),
        p and [p.rows, p.columns, p.channels, _round(p.low), _round(p.high), p.of, p.pixels],
    ]
