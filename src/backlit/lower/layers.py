"""A network layer by layer, from its graph: parameters, work, and what weight sharing saves.

Shapes: N samples; C H W of a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.fx import Node

from backlit.gates.base import aten
from backlit.graph import Graph, capture, origin_of
from backlit.graph.backprop import placeholders
from backlit.graph.show.text import columns
from backlit.lower.flops import flops

_CONVOLUTIONS = (aten.convolution.default, aten.conv1d.default, aten.conv2d.default)


@dataclass(frozen=True)
class Layer:
    """One module of a network that has weights, costs something or changes the shape.

    Attributes:
        name: the module's dotted path.
        kind: its class.
        shape: of its output, without the batch.
        parameters: numbers in its weights; what two layers share counts at the first.
        multiply_adds: of one sample; half the operations that `flops` counts.
        local: parameters of a convolution if every place had its own kernels (local connection
            without weight sharing), else None.
        full: parameters if every output saw every input, else None.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    local: int | None = None
    full: int | None = None


def layers(target: nn.Module | Graph, *inputs: Any, **named: Any) -> list[Layer]:
    """The layers of a network in the order they are computed, in evaluation mode.

    Args:
        target: a network, or a graph that was captured.
        inputs, named: an example batch for a network, (N, ...); tensors on the "meta" device serve
            for a network there.

    Returns:
        The layers; no arithmetic is done on the batch.

    Source of the comparison: LeCun et al. 1998, "Gradient-based learning applied to document
    recognition", section II.A.
    """
    graph = target if isinstance(target, Graph) else _captured(target, inputs, named)
    weights = {
        node: math.prod(node.meta["val"].shape)
        for node, wire in zip(placeholders(graph.gm), graph.inputs, strict=True)
        if wire.kind == "parameter"
    }
    first = next(
        n for n, w in zip(placeholders(graph.gm), graph.inputs, strict=True) if w.kind == "input"
    )
    samples = first.meta["val"].shape[0]
    found: dict[str, list[Node]] = {}
    for node in graph.gm.graph.nodes:
        if node.op == "call_function":
            found.setdefault(origin_of(node).module, []).append(node)
    rows = []
    for name, nodes in found.items():
        own = {w for node in nodes for w in node.all_input_nodes if w in weights}
        parameters = sum(weights.pop(w) for w in own)
        work = sum(flops(node) for node in nodes) // (2 * samples)
        value = next(n.meta["val"] for n in reversed(nodes) if hasattr(n.meta["val"], "shape"))
        local, full = _unshared([n for n in nodes if n.target in _CONVOLUTIONS])
        kind = origin_of(nodes[0]).module_type
        rows.append(Layer(name, kind, tuple(value.shape[1:]), parameters, work, local, full))
    return rows


def layer_table(rows: Sequence[Layer], title: str = "", width: int | None = None) -> str:
    """The layers as a table with their totals.

    Args:
        rows: as `layers` returns them.
        title: of the network.
        width: in characters; default the terminal's.
    """
    total = sum(r.parameters for r in rows), sum(r.multiply_adds for r in rows)
    head = ["layer", "type", "output", "parameters", "multiply-adds", "unshared", "fully connected"]
    cells = [
        [
            r.name or "(itself)",
            r.kind,
            "×".join(map(str, r.shape)),
            f"{r.parameters:,}" if r.parameters else "",
            f"{r.multiply_adds:,}" if r.multiply_adds else "",
            "" if r.local is None else _power(r.local),
            "" if r.full is None else _power(r.full),
        ]
        for r in rows
    ]
    last = ["in all", "", "", f"{total[0]:,}", f"{total[1]:,}", "", ""]
    used = [i for i in range(len(head)) if i < 5 or any(row[i] for row in cells)]
    table = [[row[i] for i in used] for row in (head, *cells, last)]
    text = columns(table, width, rules={0, len(table) - 2}, right=set(range(3, 7)))
    notes = ["multiply-adds are those of one sample"]
    if len(used) > 5:
        notes.append(
            "unshared: parameters with kernels of its own at every place; fully connected: with "
            "every output joined to every input"
        )
    return "\n".join([*([title] if title else []), text, *notes])


def _captured(network: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Graph:
    training = network.training
    try:
        return capture(network.eval(), *inputs, verdict=False, **named)
    finally:
        network.train(training)


def _unshared(convolutions: list[Node]) -> tuple[int | None, int | None]:
    """Parameters without sharing, and without local connection either, of one convolution."""
    if len(convolutions) != 1 or (len(convolutions[0].args) > 6 and convolutions[0].args[6]):
        return None, None  # none, several in one module, or a transposed one
    (node,) = convolutions
    source, weight, bias = (*node.args[:2], node.args[2] if len(node.args) > 2 else None)
    assert isinstance(source, Node) and isinstance(weight, Node)
    while source.target is aten.constant_pad_nd.default:
        source = source.all_input_nodes[0]
    inputs = math.prod(source.meta["val"].shape[1:])
    outputs = math.prod(node.meta["val"].shape[1:])
    kernel = math.prod(weight.meta["val"].shape[1:])  # numbers that one output is made of
    own_bias = outputs if bias is not None else 0
    return outputs * kernel + own_bias, outputs * inputs + own_bias


def _power(number: int) -> str:
    return f"{number:,}" if number < 10**7 else f"{number:.3g}".replace("e+", "e")
