"""The graph shown: text, SVG and a page of HTML, all drawn from one description.

`describe` turns a graph, a step or a list of gates into plain frozen values: gates, wires, and
the tree of phases and modules with repeated blocks recognised. `text`, `svg` and `html` draw
that description and nothing else, so they cannot drift apart.
"""

from backlit.graph.show.description import describe
from backlit.graph.show.figure import Figure, figure
from backlit.graph.show.html import page
from backlit.graph.show.model import (
    DepthCell,
    Description,
    GateInfo,
    Group,
    InputWire,
    OutputWire,
    Wire,
)
from backlit.graph.show.numbers import Picture, Stats, stats_of
from backlit.graph.show.shown import Shown, write_text
from backlit.graph.show.svg import svg
from backlit.graph.show.text import SMALL, card, overview, table, text
from backlit.graph.show.timing import Times, time_pass, watch

__all__ = [
    "SMALL",
    "DepthCell",
    "Description",
    "Figure",
    "GateInfo",
    "Group",
    "InputWire",
    "OutputWire",
    "Picture",
    "Shown",
    "Stats",
    "Times",
    "Wire",
    "card",
    "describe",
    "figure",
    "overview",
    "page",
    "stats_of",
    "svg",
    "table",
    "text",
    "time_pass",
    "watch",
    "write_text",
]
