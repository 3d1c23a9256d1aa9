"""Which gates of a graph are worth a choice of kernels, and what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.passes.fake_tensor_prop import FakeTensorProp

from backlit.lower.flops import flops, has_formula
from backlit.lower.lowerings import Call, call_of, value_of

# Below this the time is that of the calls, not of the work.
WORTH_FLOPS = 50_000


def costly(gm: GraphModule, inputs: Sequence[Any]) -> dict[Node, tuple[str, Call]]:
    """The gates of a flat graph that are worth a choice: each one's name and normal form.

    Args:
        inputs: for its placeholders; not asked for where every costly gate's wires know their
            shape (``meta["val"]``), as after `backlit.graph.trace.trace`.
    """
    able = [node for node in gm.graph.nodes if node.op == "call_function" and has_formula(node)]
    if any("val" not in wire.meta for node in able for wire in (node, *node.all_input_nodes)):
        with torch.no_grad():
            FakeTensorProp(gm).propagate(*inputs)
    found = {}
    for node in able:
        if flops(node) >= WORTH_FLOPS:
            call = call_of(node.target, node.args, node.kwargs, node.meta["val"])
            if call is not None:
                found[node] = _name(call), call
    return found


def _name(call: Call) -> str:
    """Kind, shapes, dtype and settings in a line: equal lines take equal time."""
    values = [value_of(operand) for operand in call.operands if operand is not None]
    shapes = ", ".join("x".join(map(str, value.shape)) + _lies(value) for value in values)
    parts = [call.kind, str(values[-1].dtype).removeprefix("torch."), shapes]
    if call.size:
        parts[0] += " " + str(call.operator).split(".")[1]
        parts += ["to " + "x".join(map(str, call.size))]
        for letter, setting in (("s", call.stride), ("p", call.padding), ("d", call.dilation)):
            parts.append(letter + "x".join(map(str, setting)))
        parts += [f"g{call.groups}"] if call.groups > 1 else []
        parts += ["bias"] if call.bias is not None else []
    return " ".join(parts)


def _lies(value: Any) -> str:
    """How a tensor lies in memory: nothing where contiguous."""
    if value.is_contiguous():
        return ""
    if value.dim() == 4 and value.is_contiguous(memory_format=torch.channels_last):
        return " last"
    if value.dim() >= 2 and value.mT.is_contiguous():
        return " turned"
    return " strided"
