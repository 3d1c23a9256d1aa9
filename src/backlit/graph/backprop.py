"""Backpropagation: walk the gates forward keeping values, then backward applying their rules.

Run on tensors this gives numbers on wires; run inside `trace` it gives a graph of more gates.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from backlit.errors import GateError
from backlit.gates import aten, gate_of, sum_to
from backlit.graph.origin import origin_of, remember_gradient, stamp, traced_name

Values = dict[Node, Any]

# A view was captured for one memory layout; the same values may come in another (channels last).
_LAYOUT_FREE: dict[Any, Any] = {aten.view.default: aten.reshape.default}


def forward(
    gm: GraphModule, inputs: Sequence[Any], keep: Callable[[Node, Any], None] | None = None
) -> tuple[Any, Values]:
    """Runs the gates in order and keeps every wire's value.

    Args:
        gm: the flat graph; its placeholders take `inputs` in order.
        keep: called with each gate and its value as soon as it is known.
    Returns: the output (as the graph nests it) and the value on every wire.
    """
    values: Values = {}
    feed = iter(inputs)
    for node in gm.graph.nodes:
        if node.op == "placeholder":
            values[node] = next(feed)
        elif node.op == "get_attr":
            values[node] = getattr(gm, node.target)
        elif node.op == "output":
            return map_arg(node.args[0], values.__getitem__), values
        else:
            with stamp(origin_of(node)):
                values[node] = evaluate(node, values)
            if keep is not None:
                keep(node, values[node])
    raise AssertionError("a graph ends in an output")


def evaluate(
    node: Node, values: Mapping[Node, Any], instead: Callable[..., Any] | None = None
) -> Any:
    """One gate's output from the values on its input wires; `instead` replaces its operation."""
    args, kwargs = map_arg((node.args, node.kwargs), values.__getitem__)
    return (instead or _LAYOUT_FREE.get(node.target, node.target))(*args, **kwargs)


def reached_from(gm: GraphModule, wanted: Iterable[Node]) -> set[Node]:
    """The wires whose value depends on one of the wanted wires."""
    reached = set(wanted)
    for node in gm.graph.nodes:
        if node.op == "call_function" and any(i in reached for i in node.all_input_nodes):
            reached.add(node)
    return reached


def backward(
    gm: GraphModule,
    values: Values,
    seeds: Mapping[Node, Tensor],
    wanted: Iterable[Node],
    told: Callable[[Node], None] | None = None,
) -> dict[Node, Any]:
    """Runs the gates in reverse, applying each one's rule and summing where wires fork.

    Args:
        values: the value on every wire, from `forward`.
        seeds: gradient of the loss with respect to the outputs it depends on.
        wanted: the wires whose gradient is asked for; only what leads to them is computed.
        told: called with each gate as soon as its rule has run.
    Returns: the gradient on every wire it reached; a wire that is missing is disconnected.
    Raises: GateError for a gate without a rule that a gradient would have to pass.
    """
    live = reached_from(gm, wanted)
    grads: dict[Node, Any] = dict(seeds)

    def give(wire: Any, grad: Any, gate: Any, node: Node) -> None:
        """Adds what a rule returned for one argument to that wire's gradient."""
        if isinstance(wire, (list, tuple)):
            for part, part_grad in zip(wire, grad or (), strict=grad is not None):
                give(part, part_grad, gate, node)
        elif isinstance(wire, Node) and wire in live and is_floating(values[wire]):
            grad = grad() if callable(grad) else grad
            if grad is not None:
                grad = _fit(grad, values[wire], gate, node)
                grads[wire] = grad if grads.get(wire) is None else grads[wire] + grad

    for node in reversed(gm.graph.nodes):
        dz = grads.get(node)
        if dz is None or node not in live or node.op != "call_function":
            continue
        origin = origin_of(node)
        name = traced_name(values[node]) or node.name
        with stamp(replace(origin, role="backward", of=name)):
            if node.target is operator.getitem:
                many, index = node.args
                parts = grads.setdefault(many, [None] * len(values[many]))
                parts[index] = dz if parts[index] is None else parts[index] + dz
                continue
            gate = gate_of(node.target)
            if gate is None:
                raise GateError(
                    f"expected an operation with a gate, got {node.target} in {origin.where()}: "
                    "its gradient is not known; register a gate for it with backlit.gate"
                )
            wires, settings = _positional(node)
            args, kwargs = map_arg((wires, settings), values.__getitem__)
            rule = gate.backward(dz, values[node], *args, **kwargs)
            if len(rule) > len(wires):
                rule = rule[: len(wires)]
            for wire, grad in zip(wires, rule, strict=False):
                give(wire, grad, gate, node)
        if told is not None:
            told(node)
    return grads


def _fit(grad: Tensor, x: Tensor, gate: Any, node: Node) -> Tensor:
    """Brings a gradient to its input's shape and dtype, or says that the rule is wrong."""
    if grad.shape != x.shape:
        if not gate.broadcasts:
            raise GateError(
                f"gate {gate.__name__} ({node.name}, {origin_of(node).where()}): expected a "
                f"gradient of shape {tuple(x.shape)}, its backward gave {tuple(grad.shape)}"
            )
        grad = sum_to(grad, x.shape)
    return grad if grad.dtype == x.dtype else grad.to(x.dtype)


def _positional(node: Node) -> tuple[list[Any], dict[str, Any]]:
    """The node's arguments with every wire in its position, for wires passed by keyword."""
    args, kwargs = list(node.args), dict(node.kwargs)
    if any(isinstance(value, (Node, list, tuple)) for value in kwargs.values()):
        operator_: Any = node.target
        names = [a.name for a in operator_._schema.arguments if not a.kwarg_only]
        defaults = {a.name: a.default_value for a in operator_._schema.arguments}
        last = max((names.index(k) for k in kwargs if k in names), default=-1)
        for name in names[len(args) : last + 1]:
            args.append(kwargs.pop(name, defaults[name]))
    return args, kwargs


def is_floating(value: Any) -> bool:
    """Whether a wire can carry a gradient."""
    return isinstance(value, Tensor) and value.is_floating_point()


@torch.no_grad()
def value_and_grad(
    gm: GraphModule, inputs: Sequence[Any], wanted: Sequence[int], output: int = 0
) -> tuple[Any, list[Tensor | None]]:
    """Outputs of a flat graph and the gradients of one scalar output.

    Args:
        inputs: values for the placeholders, in order.
        wanted: positions of the placeholders whose gradient is asked for.
        output: which of the flat outputs is the loss, a 0-d tensor.
    Returns: the flat outputs, and for each wanted placeholder its gradient, None where the loss
        does not depend on it.
    """
    outputs, values = forward(gm, inputs)
    return outputs, gradients(gm, values, wanted, output)


@torch.no_grad()
def gradients(
    gm: GraphModule, values: Values, wanted: Sequence[int], output: int = 0
) -> list[Tensor | None]:
    """The gradients of one scalar output, from the value on every wire; see `value_and_grad`."""
    wires = placeholders(gm)
    loss_wire = output_wires(gm)[output]
    if not isinstance(loss_wire, Node):
        return [None] * len(wanted)
    seed = torch.ones_like(values[loss_wire])
    targets = [wires[i] for i in wanted]
    grads = backward(gm, values, {loss_wire: seed}, targets)
    for wire, grad in grads.items():
        if isinstance(grad, Tensor) and isinstance(values[wire], Tensor):
            remember_gradient(values[wire], grad)
    return [grads.get(wire) for wire in targets]


def placeholders(gm: GraphModule) -> list[Node]:
    """The graph's input wires, in order."""
    return [node for node in gm.graph.nodes if node.op == "placeholder"]


def output_wires(gm: GraphModule) -> tuple[Any, ...]:
    """What the graph returns: one node (or constant) for each flat output."""
    result = gm.graph.output_node().args[0]
    return tuple(result) if isinstance(result, (list, tuple)) else (result,)
