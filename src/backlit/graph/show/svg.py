"""The figure drawn: values in green above the wires, gradients in red below them."""

from __future__ import annotations

from html import escape

from backlit.errors import GateError
from backlit.graph.show.figure import Box, Line, figure
from backlit.graph.show.model import Description

UP_TO = 150  # gates; above, only a page that folds can be read
_FILL = {"forward": "#fff", "backward": "#fdf0f1", "update": "#fbf6e9"}
_STYLE = """text{font:15px 'Helvetica Neue',Arial,sans-serif;fill:#222}
.gate{stroke:#556;stroke-width:1.5}.wire{fill:none;stroke:#8a93a3;stroke-width:1.5}
.value{fill:#0a7d33}.gradient{fill:#c2253a}.halo{stroke:#fff;stroke-width:4;paint-order:stroke}
.note{font-size:11px;fill:#777}"""


def svg(d: Description) -> str:
    """A self-contained SVG of a small graph, as in the classic teaching figure.

    Source: Stanford CS231n, lecture 4, "Backpropagation and neural networks", for the figure.

    Raises:
        GateError: more than 150 gates.
    """
    if len(d.gates) > UP_TO:
        raise GateError(
            f"expected at most {UP_TO} gates in a figure, got {len(d.gates):,}; "
            "write the page instead, which folds"
        )
    f = figure(d)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {f.width:g} {f.height:g}" '
        f'width="{f.width:g}" height="{f.height:g}" role="img" aria-label="{escape(d.title)}">',
        f"<title>{escape(d.title)}</title><style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#8a93a3"/></marker></defs>',
        f'<rect width="{f.width:g}" height="{f.height:g}" fill="#fff"/>',
        *(f'<path class="wire" marker-end="url(#tip)" d="{_path(line)}"/>' for line in f.lines),
        *(_box(box) for box in f.boxes),
        *(_numbers(line) for line in f.lines),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _path(line: Line) -> str:
    (x, y), *rest = line.points
    path = [f"M{x:g} {y:g}"]
    for next_x, next_y in rest:
        middle = (x + next_x) / 2
        path.append(f"C{middle:g} {y:g} {middle:g} {next_y:g} {next_x:g} {next_y:g}")
        x, y = next_x, next_y
    return "".join(path)


def _box(box: Box) -> str:
    x, y = box.x, box.y
    left, top = x - box.width / 2, y - box.height / 2
    label = f'<text x="{x:g}" y="{y + 5:g}" text-anchor="middle">{escape(box.label)}</text>'
    note = f'<text class="note" x="{x:g}" y="{y + box.height / 2 + 12:g}" text-anchor="middle">'
    note = f"{note}{escape(box.note)}</text>" if box.note else ""
    if box.kind in ("input", "output"):
        return label + note
    shape = (
        f'<rect class="gate" x="{left:g}" y="{top:g}" width="{box.width:g}" '
        f'height="{box.height:g}" rx="20" fill="{_FILL.get(box.kind, "#fff")}"/>'
    )
    return f"<g><title>{escape(box.name)}</title>{shape}{label}{note}</g>"


def _numbers(line: Line) -> str:
    x, y = line.points[0]
    value = f'<text class="value halo" x="{x + 6:g}" y="{y - 6:g}">{escape(line.value)}</text>'
    gradient = f'<text class="gradient halo" x="{x + 6:g}" y="{y + 17:g}">{escape(line.gradient)}'
    return (value if line.value else "") + (f"{gradient}</text>" if line.gradient else "")
