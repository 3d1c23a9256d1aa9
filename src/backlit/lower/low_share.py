"""How much of a graph's work gains from a lower precision."""

from __future__ import annotations

import math

from torch.fx import GraphModule

from backlit.lower.costly import costly
from backlit.lower.flops import flops
from backlit.lower.lowerings import Call, value_of

# Measured on one core with AVX512-BF16, casts included: a product of 64 x 64 matrices (2 million
# operations) loses, one of 128 x 128 (8 million) gains 1.3x, one of 256 x 256 gains 1.7x;
# convolutions with 6 and 16 channels lose inside a compiled step.
WORTH_FLOPS = 8_000_000
_WIDTH = 32  # numbers that the units for bfloat16 take at once


def low_share(gm: GraphModule) -> float:
    """The share of a flat graph's operations in gates that are large and wide enough, 0 to 1.

    Args:
        gm: its wires know their value's shape (``meta["val"]``).
    """
    total = sum(map(flops, gm.graph.nodes))
    gain = sum(
        flops(node)
        for node, (_, call) in costly(gm, ()).items()
        if flops(node) >= WORTH_FLOPS and _width(call) >= _WIDTH
    )
    return gain / total if total else 0.0


def _width(call: Call) -> int:
    """The shortest side of the matrix product that a gate is."""
    if not call.size:
        # A product's two matrices are its last operands, those of a linear layer its first.
        pair = call.operands[:2] if call.kind == "linear" else call.operands[-2:]
        return min(side for matrix in pair for side in value_of(matrix).shape[-2:])
    shapes = call.shapes
    if call.kind == "weight gradient":
        (_, c, *_), (_, k, *_) = shapes
        kernel = call.size
    else:
        k, c, *rest = shapes[1]
        kernel = tuple(rest)
    return min(k, c * math.prod(kernel))
