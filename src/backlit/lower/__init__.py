"""Which kernel serves which gate on this machine, and how a graph is made ready and compiled.

A step's graph passes through `passes` (fewer gates, equal results) and, if asked, `precision`
(bfloat16 where the gates tolerate it) before it is compiled.
"""

from backlit.lower.compiler import compile_graph, compiler_available
from backlit.lower.flops import flops
from backlit.lower.passes import apply_passes
from backlit.lower.precision import fast_bfloat16, lower_precision
from backlit.lower.prepare import PRECISIONS, prepare_graph

__all__ = [
    "PRECISIONS",
    "apply_passes",
    "compile_graph",
    "compiler_available",
    "fast_bfloat16",
    "flops",
    "lower_precision",
    "prepare_graph",
]
