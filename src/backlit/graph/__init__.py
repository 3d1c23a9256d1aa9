"""The graph: capture, topological order, backpropagation, numerical check, text and drawing."""

from backlit.graph.capture import capture
from backlit.graph.check import Point, check
from backlit.graph.connections import Connections, connections
from backlit.graph.graph import GateCall, Graph, Input, Watched
from backlit.graph.hessian import hvp
from backlit.graph.inline import inline
from backlit.graph.noise import Noise, generator_for
from backlit.graph.origin import Origin, origin_of, stamp
from backlit.graph.report import Entry, Report
from backlit.graph.trace import trace

__all__ = [
    "Connections",
    "Entry",
    "GateCall",
    "Graph",
    "Input",
    "Noise",
    "Origin",
    "Point",
    "Report",
    "Watched",
    "capture",
    "check",
    "connections",
    "generator_for",
    "hvp",
    "inline",
    "origin_of",
    "stamp",
    "trace",
]
