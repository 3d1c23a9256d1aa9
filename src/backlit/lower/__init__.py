"""Which kernel serves which gate on this machine, and how a graph is made ready and compiled.

A step's graph passes through `passes` (fewer gates, equal results) and, if asked, `precision`
(bfloat16 where the gates tolerate it) before it is compiled. For the compiler `open_pools` opens
what it makes slow loops of, `open_whole_pictures` and `open_thin_products` what is not worth a call
of the library; `lower_gates` chooses the kernel of each costly gate by measuring.
"""

from backlit.lower.apply import apply, lower_gates
from backlit.lower.autotune import Kernel, choose
from backlit.lower.batched_products import batch_products
from backlit.lower.compiler import compile_graph, compiler_available
from backlit.lower.flops import flops
from backlit.lower.kernel_file import KernelFileWarning, kernel_file
from backlit.lower.kernel_table import kernel_table
from backlit.lower.layers import Layer, layer_table, layers
from backlit.lower.low_share import low_share
from backlit.lower.machine import fast_bfloat16, processor
from backlit.lower.passes import apply_passes
from backlit.lower.pools import open_pools
from backlit.lower.precision import lower_precision
from backlit.lower.prepare import PRECISIONS, prepare_graph
from backlit.lower.thin_products import open_thin_products
from backlit.lower.whole_pictures import open_whole_pictures

__all__ = [
    "PRECISIONS",
    "Kernel",
    "KernelFileWarning",
    "Layer",
    "apply",
    "apply_passes",
    "batch_products",
    "choose",
    "compile_graph",
    "compiler_available",
    "fast_bfloat16",
    "flops",
    "kernel_file",
    "kernel_table",
    "layer_table",
    "layers",
    "low_share",
    "lower_gates",
    "lower_precision",
    "open_pools",
    "open_thin_products",
    "open_whole_pictures",
    "prepare_graph",
    "processor",
]
