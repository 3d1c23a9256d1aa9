"""The graph: capture, topological order, backpropagation, numerical check, text and drawing."""

from backlit.graph.capture import capture
from backlit.graph.graph import GateCall, Graph, Input, Watched
from backlit.graph.inline import inline
from backlit.graph.noise import Noise, generator_for
from backlit.graph.origin import Origin, origin_of, stamp
from backlit.graph.trace import trace

__all__ = [
    "GateCall",
    "Graph",
    "Input",
    "Noise",
    "Origin",
    "Watched",
    "capture",
    "generator_for",
    "inline",
    "origin_of",
    "stamp",
    "trace",
]
