"""How many floating-point operations a costly gate takes: PyTorch's own formulas, and linear's."""

from __future__ import annotations

import math
from typing import Any

from torch.fx import Node
from torch.fx.node import map_arg
from torch.utils.flop_counter import flop_registry

from backlit.gates.base import aten


def has_formula(node: Node) -> bool:
    """Whether a gate is one of those that can be costly."""
    packet = getattr(node.target, "overloadpacket", None)
    return node.target is aten.linear.default or packet in flop_registry


def flops(node: Node) -> int:
    """Multiplications and additions of one gate of a flat graph; 0 for a gate that is not costly.

    Args:
        node: a gate whose wires know their value or its shape (``meta["val"]``).
    """
    if node.op != "call_function" or not has_formula(node):
        return 0
    args, kwargs = map_arg((node.args, node.kwargs), lambda wire: wire.meta["val"])
    return flops_of(node.target, args, kwargs, node.meta["val"])


def flops_of(operator: Any, args: Any, kwargs: Any, out: Any) -> int:
    """The same for an operator, its arguments and its output.

    Padding taps count as work, as they do in most published figures.
    """
    if operator is aten.linear.default:
        return 2 * math.prod(out.shape) * args[1].shape[1]
    if operator is aten.convolution_backward.default and tuple(args[10]) == (False, False, True):
        return 0  # PyTorch's formula counts the two large gradients alone
    return int(flop_registry[operator.overloadpacket](*args, **kwargs, out_val=out))
