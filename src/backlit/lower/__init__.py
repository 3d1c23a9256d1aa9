"""Which kernel serves which gate on this machine, and how a graph is compiled."""

from backlit.lower.apply import apply, lower_gates
from backlit.lower.autotune import Kernel, choose
from backlit.lower.batched_products import batch_products
from backlit.lower.compiler import compile_graph, compiler_available
from backlit.lower.flops import flops
from backlit.lower.kernel_file import KernelFileWarning, kernel_file
from backlit.lower.kernel_table import kernel_table

__all__ = [
    "Kernel",
    "KernelFileWarning",
    "apply",
    "batch_products",
    "choose",
    "compile_graph",
    "compiler_available",
    "flops",
    "kernel_file",
    "kernel_table",
    "lower_gates",
]
