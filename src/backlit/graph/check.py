"""The check: every gradient against numerical differences, and the gate at fault by name."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.fx import Graph as FlatGraph
from torch.fx import GraphModule, Node
from torch.utils._pytree import tree_flatten, tree_unflatten

from backlit.errors import CaptureError
from backlit.gates import Gate, gate_of
from backlit.gates.samples import Draw
from backlit.graph import backprop
from backlit.graph.capture import capture
from backlit.graph.graph import Graph
from backlit.graph.numerical import (
    Comparison,
    Subject,
    compare,
    cotangent,
    double,
    in_double,
    isolate,
)
from backlit.graph.origin import origin_of
from backlit.graph.report import Entry, Report


@dataclass(frozen=True)
class Point:
    """A flat graph at one operating point.

    Attributes:
        name: what it computes, shown before its entries' names; may be empty.
        gm: the flat graph.
        inputs: values for its placeholders.
        wanted: name to position of the placeholders whose gradient is checked.
        outputs: positions of the flat outputs that count.
    """

    name: str
    gm: GraphModule
    inputs: Sequence[Any]
    wanted: Mapping[str, int]
    outputs: Sequence[int]


@runtime_checkable
class HasOperatingPoint(Protocol):
    """Something that trains (a game, a supervised step) and can be checked where it stands."""

    def operating_point(self, *inputs: Any) -> Sequence[Point]:
        """Its losses as flat graphs, at its present state and the given batch."""
        ...


@torch.no_grad()
def check(
    target: Any,
    *inputs: Any,
    seed: int = 0,
    limit: int = 24,
    directions: int = 3,
    tolerance: float = 1e-6,
    **kwargs: Any,
) -> Report:
    """Checks analytic gradients against numerical ones, in float64 copies of all tensors.

    Args:
        target: a graph, a module or function (captured on `inputs`), a gate (on its own samples,
            or on `inputs`), or something with an operating point, such as a game (`inputs` is
            then its batch). Parameters, buffers, dropout masks and noise stay frozen.
        inputs, kwargs: its inputs; a graph's own example by default.
        seed: of the noise, where the graph draws any.
        limit: tensors of up to this many elements are checked at every coordinate, larger ones
            along random directions v, numerically and as v · gradient.
        directions: how many.
        tolerance: relative error that passes.
    Returns: a report with `passed`, `worst` and a line for each parameter and input. Outputs that
        are not a single number are reduced by a fixed random projection.
    Raises: CaptureError for what cannot be captured or checked; GateError for a missing rule.

    Source: v · J · w projections as in HIPS autograd's test_util and PyTensor's verify_grad.
    """
    title, points = _points(target, inputs, kwargs, seed)
    entries: list[Entry] = []
    for point in points:
        entries += _Checker(point, limit, directions, tolerance).entries()
    return Report(title, tuple(entries), tolerance)


def _points(
    target: Any, inputs: Sequence[Any], kwargs: Mapping[str, Any], seed: int
) -> tuple[str, list[Point]]:
    if isinstance(target, type) and issubclass(target, Gate):
        return f"gate {target.__name__}", list(_gate_points(target, inputs, kwargs))
    if isinstance(target, HasOperatingPoint):
        return type(target).__name__, list(target.operating_point(*inputs))
    if isinstance(target, Graph):
        title, graph = "graph", target
        flat = graph.flat_inputs(inputs, kwargs, seed)
    elif callable(target):
        name = type(target).__name__ if isinstance(target, nn.Module) else target.__name__
        # No verdict: where graph and PyTorch differ, this report says which gate is wrong.
        title, graph = name, capture(target, *inputs, verdict=False, **kwargs)
        flat = graph.flat_inputs((), {}, seed)
    else:
        raise CaptureError(
            "expected a graph, a module, a function, a gate or a game to check, "
            f"got {type(target).__name__}"
        )
    wanted = {graph.inputs[i].name: i for i in graph.differentiable_inputs()}
    n = len(graph.new_buffers)
    outputs = range(n, len(backprop.output_wires(graph.gm)))
    return title, [Point("", graph.gm, flat, wanted, outputs)]


def _gate_points(
    gate: type[Gate], inputs: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[Point]:
    """One call of a gate, or each of its samples, as a graph of that gate alone."""
    if inputs:
        calls = [(tuple(inputs), dict(kwargs))]
    elif gate.samples is None:
        raise CaptureError(f"gate {gate.__name__} has no samples: expected inputs to check it on")
    else:
        calls = [(sample.args, sample.kwargs) for sample in gate.samples(Draw())]
    for number, (args, keywords) in enumerate(calls):
        leaves, tree = tree_flatten((args, keywords))
        graph = FlatGraph()
        where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        tensors = [leaves[i] for i in where]
        wires = [
            graph.placeholder(f"input_{i}") if isinstance(leaf, Tensor) else leaf
            for i, leaf in enumerate(leaves)
        ]
        positional, by_keyword = tree_unflatten(wires, tree)
        z = graph.call_function(gate.operators()[0], positional, by_keyword)
        value = gate.operators()[0](*args, **keywords)
        if isinstance(value, Tensor):
            results = [z]
        else:
            parts = [i for i, part in enumerate(value) if backprop.is_floating(part)]
            results = [graph.call_function(operator.getitem, (z, i)) for i in parts]
        graph.output(tuple(results))
        gm = GraphModule(nn.Module(), graph)
        wanted = {
            f"input {i}": i
            for i, tensor in enumerate(tensors)
            if backprop.is_floating(tensor) and where[i] not in gate.constants
        }
        # Saved statistics and scratch memory are outputs, too, but not differentiated.
        outputs = [
            i for i in range(len(results)) if i == 0 or _has_gradient(gm, tensors, i, wanted)
        ]
        yield Point("" if inputs else f"sample {number}", gm, tensors, wanted, outputs)


def _has_gradient(
    gm: GraphModule, tensors: Sequence[Tensor], output: int, wanted: Mapping[str, int]
) -> bool:
    values = backprop.forward(gm, tensors)[1]
    wire = backprop.output_wires(gm)[output]
    wires = [backprop.placeholders(gm)[position] for position in wanted.values()]
    grads = backprop.backward(gm, values, {wire: torch.ones_like(values[wire])}, wires)
    return any(grads.get(w) is not None for w in wires)


class _Checker:
    """The check of one point."""

    def __init__(self, point: Point, limit: int, directions: int, tolerance: float):
        self.point, self.settings = point, (limit, directions, tolerance)
        self.tolerance = tolerance
        gm = in_double(point.gm)
        inputs = [double(value) for value in point.inputs]
        values = backprop.forward(gm, inputs)[1]
        seeds: dict[Node, Tensor] = {}
        for position in point.outputs:
            wire = backprop.output_wires(gm)[position]
            if isinstance(wire, Node) and backprop.is_floating(values[wire]):
                one = cotangent(values[wire], position)
                seeds[wire] = seeds[wire] + one if wire in seeds else one
        self.subject = Subject(gm, inputs, seeds)
        placeholders = backprop.placeholders(self.subject.gm)
        self.wires = {name: placeholders[position] for name, position in point.wanted.items()}
        self.grads = self.subject.gradients(self.wires.values())
        self._found: dict[Node, str] = {}

    def entries(self) -> Iterator[Entry]:
        prefix = f"{self.point.name}: " if self.point.name else ""
        for name, wire in self.wires.items():
            grad = self.grads.get(wire)
            result = compare(self.subject, wire, grad, *self.settings)
            verdict, gate = self._verdict(result, wire)
            yield Entry(
                prefix + name,
                tuple(self.subject.values[wire].shape),
                result.how,
                result.tried,
                0.0 if grad is None or not grad.numel() else float(grad.abs().max()),
                result.error,
                verdict,
                gate,
            )

    def _verdict(self, result: Comparison, wire: Node) -> tuple[str, str]:
        if result.error <= self.tolerance and not result.kink:
            return "ok", ""
        # Each gate on the way is checked alone, at the values it has there.
        wrong, kinks = [], []
        for node in self.subject.downstream(wire):
            if self.grads.get(node) is not None:
                found = self._alone(node)
                text = f"{_name(node)} in {origin_of(node).where()}"
                if found == "wrong":
                    wrong.append(text)
                elif found == "kink":
                    kinks.append(text)
        if wrong:
            return "wrong", _few(wrong)
        if kinks or (result.kink and not result.outside):
            return "kink", _few(kinks)
        if result.error <= self.tolerance:
            return "ok", ""
        return "wrong", "no gate alone"

    def _alone(self, node: Node) -> str:
        """The verdict on one gate by itself."""
        if node not in self._found:
            self._found[node] = "ok"
            alone = isolate(node, self.subject.values, self.grads.get(node))
            wires = [w for w in backprop.placeholders(alone.gm) if _moves(alone, w)]
            grads = alone.gradients(wires)
            for wire in wires:
                result = compare(alone, wire, grads.get(wire), *self.settings)
                if result.kink and not result.outside:
                    self._found[node] = "kink"
                elif result.error > self.tolerance:
                    self._found[node] = "wrong"
                    break
        return self._found[node]


def _moves(alone: Subject, wire: Node) -> bool:
    return backprop.is_floating(alone.values[wire]) and bool(alone.downstream(wire))


def _name(node: Node) -> str:
    gate = gate_of(node.target)
    return f"{gate.__name__ if gate else node.target} '{node.name}'"


def _few(texts: list[str]) -> str:
    more = f" and {len(texts) - 2} more" if len(texts) > 2 else ""
    return ", ".join(texts[:2]) + more
