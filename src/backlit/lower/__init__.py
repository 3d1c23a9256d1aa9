"""Which kernel serves which gate on this machine, and how a graph is compiled."""

from backlit.lower.compiler import compile_graph, compiler_available
from backlit.lower.flops import flops

__all__ = ["compile_graph", "compiler_available", "flops"]
