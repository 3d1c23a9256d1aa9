"""Convolutions that see a whole picture at once, with few scores, as gates that a compiler fuses.

The last layer of a discriminator weighs a whole picture into one score. That is a multiplication
and a sum over what the layer before left, as are its two gradients, and yet a library's
convolution takes as long for it as for a layer with a hundred times the work.
"""

# Shapes: big (N, C, H, W), small (N, K, 1, 1), w (K, C, H, W) with few K, as in `lowerings.base`.
from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.lower.apply import put_instead, views_may_copy
from backlit.lower.insert import insert, kept_in_order, renewed
from backlit.lower.layout import channels_last
from backlit.lower.lowerings import Call, call_of
from backlit.lower.passes.common import value
from backlit.lower.thin_products import THIN, part

_CONVOLUTIONS = {aten.convolution.default, aten.convolution_backward.default}


def open_whole_pictures(gm: GraphModule) -> int:
    """Puts multiplications and sums in place of a flat graph's convolutions of whole pictures.

    Equal up to rounding: sums run in another order, in float32 where the convolution is in less.

    Args:
        gm: its wires know their value's shape (``meta["val"]``); changed in place.
    Returns: how many convolutions were opened.
    """
    found = {node: call for node in gm.graph.nodes if (call := _call(node)) and _few(call)}
    last = bool(found) and channels_last(gm)
    for node, call in found.items():
        code = partial(_opened, call, last)
        put_instead(node, call, insert(node, code, [*call.operands, call.bias]))
    if found:
        views_may_copy(gm)
    return renewed(gm, len(found))


def _call(node: Node) -> Call | None:
    """A convolution in normal form."""
    if node.target not in _CONVOLUTIONS or value(node) is None:
        return None
    return call_of(node.target, node.args, node.kwargs, value(node))


def _few(call: Call) -> int:
    """How many kernels weigh the whole picture; 0 where they are not few, or see less of it."""
    seen, second = call.shapes[0][2:], call.shapes[1]
    few, size, picture, kernel = {
        "correlate": (second[0], call.size, seen, second[2:]),
        "spread": (second[0], seen, call.size, second[2:]),
        "weight gradient": (second[1], second[2:], seen, call.size),
    }[call.kind]
    whole = call.simple and not any(call.padding) and size == (1, 1) and picture == kernel
    return few if whole and few <= THIN else 0


def _opened(call: Call, last: bool, a: Any, b: Any, bias: Any) -> Any:
    """Code of the convolution, on its two operands."""
    few, dtype = range(_few(call)), value(call.operands[0]).dtype
    exact = torch.promote_types(dtype, torch.float32)
    if call.kind != "weight gradient" and last:
        b = _lying_last(b, call.shapes[1])
    if exact != dtype:
        a, b, bias = (
            x if x is None else aten._to_copy.default(x, dtype=exact) for x in (a, b, bias)
        )
    if call.kind == "correlate":
        z = _joined([_sum(aten.mul.Tensor(a, part(b, 0, k)), [1, 2, 3]) for k in few], 1)
    elif call.kind == "spread":
        z, *more = (aten.mul.Tensor(part(a, 1, k), part(b, 0, k)) for k in few)
        for term in more:
            z = aten.add.Tensor(z, term)
    else:
        z = _joined([_sum(aten.mul.Tensor(a, part(b, 1, k)), [0]) for k in few], 0)
    if bias is not None:
        z = aten.add.Tensor(z, aten.view.default(bias, [1, -1, 1, 1]))
    return z if exact == dtype else aten._to_copy.default(z, dtype=dtype)


def _sum(x: Any, axes: list[int]) -> Any:
    return aten.sum.dim_IntList(x, axes, True)


def _joined(parts: list[Any], axis: int) -> Any:
    return parts[0] if len(parts) == 1 else aten.cat.default(parts, axis)


def _lying_last(w: Any, shape: tuple[int, ...]) -> Any:
    """The kernels with their channels last in memory, as the pictures that they weigh."""
    k, c, *size = shape
    return aten.permute.default(
        kept_in_order(aten.permute.default(w, [0, 2, 3, 1]), (k, *size, c)), [0, 3, 1, 2]
    )
