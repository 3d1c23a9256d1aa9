"""Numerical derivatives of a flat graph, beside the gradients its own backpropagation gives."""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.utils._pytree import tree_map

from backlit.gates import aten, gate_of
from backlit.graph import backprop

STEPS = (1e-4, 1e-5, 1e-6, 1e-7)  # relative to the size of the tensor that is moved
_ROUNDING = 16 * torch.finfo(torch.float64).eps
_HALVES = 0.5  # a smooth function's one-sided slopes come ten times nearer with a tenth of the step


@dataclass(frozen=True)
class Comparison:
    """Numerical against analytic derivatives of one wire.

    Attributes:
        how: ``"coordinates"`` (every element) or ``"projections"`` (random directions).
        tried: number of elements or directions.
        error: largest difference relative to the gradient, rounding of the differences allowed for.
        kink: the slopes to the left and to the right differ, however small the step.
        outside: at a kink, the analytic slope does not lie between the two.
    """

    how: str
    tried: int
    error: float
    kink: bool = False
    outside: bool = False


class Subject:
    """A flat graph at one operating point, its outputs reduced by fixed cotangents.

    Args:
        gm: the graph, in float64.
        inputs: values for its placeholders.
        seeds: for each output wire that counts, the cotangent it is multiplied with.
    """

    def __init__(self, gm: GraphModule, inputs: Sequence[Any], seeds: Mapping[Node, Tensor]):
        self.gm, self.seeds = gm, dict(seeds)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.values = backprop.forward(gm, inputs)[1]
        self._downstream: dict[Node, list[Node]] = {}

    @cached_property
    def size(self) -> float:
        """Σ |cotangent · output|: what rounding errors are relative to."""
        parts = [(c * self.values[wire]).abs().sum() for wire, c in self.seeds.items()]
        return float(sum(parts)) if parts else 0.0

    def gradients(self, wanted: Iterable[Node]) -> dict[Node, Any]:
        """Backlit's own gradients, by wire."""
        return backprop.backward(self.gm, self.values, self.seeds, wanted)

    def downstream(self, wire: Node) -> list[Node]:
        """The gates that move with a wire; a stop-gradient holds its value, as it should."""
        if wire not in self._downstream:
            reached, gates = {wire}, []
            for node in self.gm.graph.nodes:
                stops = node.op != "call_function" or node.target is aten.detach.default
                if not stops and any(i in reached for i in node.all_input_nodes):
                    reached.add(node)
                    gates.append(node)
            self._downstream[wire] = gates
        return self._downstream[wire]

    def change(self, wire: Node, value: Tensor) -> float:
        """How much the reduced output changes when `wire` (a placeholder) takes another value."""
        moved = dict(self.values)
        moved[wire] = value
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a random gate checked alone draws the same again
            for node in self.downstream(wire):
                moved[node] = backprop.evaluate(node, moved)
        # Element by element before the sum: no cancellation between outputs.
        return sum(
            float((c * (moved[out] - self.values[out])).sum()) for out, c in self.seeds.items()
        )


def compare(
    subject: Subject,
    wire: Node,
    grad: Tensor | None,
    limit: int,
    directions: int,
    tolerance: float,
) -> Comparison:
    """Compares one placeholder's gradient with numerical differences.

    Args:
        grad: the analytic gradient; None counts as zeros.
        limit: up to this many elements every coordinate is tried, above it random directions.
        directions: how many.
        tolerance: relative error that passes; smaller steps are tried until it does.
    """
    x = subject.values[wire]
    grad = torch.zeros_like(x) if grad is None else grad
    if not torch.isfinite(grad).all():
        return Comparison("coordinates", 0, float("inf"))
    finite = x[x.isfinite()]  # (a masked score may be −∞, and stays there)
    size = max(float(finite.square().mean().sqrt()), 1e-2) if finite.numel() else 1.0
    coordinates = x.numel() <= limit
    if coordinates:
        moves = [_unit(x, i) for i in range(x.numel())]
        scale = float(grad.abs().max()) if x.numel() else 0.0
    else:
        generator = torch.Generator().manual_seed(x.numel())
        moves = [_normal(x, generator) for _ in range(directions)]
        scale = float(grad.norm())
    if any(getattr(gate_of(user.target), "symmetric", False) for user in wire.users):
        moves = [(v + v.mT) / 2 for v in moves]
    error, kink, outside = 0.0, False, False
    for v in moves:
        tried = _along(subject, wire, v, float((v * grad).sum()), size, scale, tolerance)
        error = max(error, tried.error)
        kink |= tried.kink
        outside |= tried.outside and coordinates
    how = "coordinates" if coordinates else "projections"
    return Comparison(how, len(moves), error, kink, outside)


def _along(
    subject: Subject,
    wire: Node,
    v: Tensor,
    analytic: float,
    size: float,
    scale: float,
    tolerance: float,
) -> Comparison:
    """The derivative along one direction, with ever smaller steps until it agrees."""
    x, best, gap_before = subject.values[wire], float("inf"), None
    left = right = 0.0
    kink = False
    for step in STEPS:
        h = step * size
        right, left = subject.change(wire, x + h * v) / h, -subject.change(wire, x - h * v) / h
        rounding = _ROUNDING * subject.size / h
        numerical, gap = (left + right) / 2, abs(right - left)
        reference = max(scale, abs(numerical), rounding / tolerance, 1e-300)
        error = abs(numerical - analytic) / reference
        best = min(best, error if error == error else float("inf"))
        notable = gap > 1e-2 * max(abs(left), abs(right)) + 10 * rounding
        kink = notable and gap_before is not None and gap > _HALVES * gap_before
        # A step that agrees ends the search, unless its one-sided slopes raise the question of
        # a kink, which the next step answers.
        if best <= tolerance and not (notable and gap_before is None):
            break
        gap_before = gap
    slack = 1e-3 * max(abs(left), abs(right))
    outside = kink and not min(left, right) - slack <= analytic <= max(left, right) + slack
    return Comparison("", 1, best, kink, outside)


def _unit(x: Tensor, i: int) -> Tensor:
    v = torch.zeros(x.numel(), dtype=x.dtype, device=x.device)
    v[i] = 1
    return v.reshape(x.shape)


def _normal(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x.device)


def cotangent(like: Tensor, seed: int) -> Tensor:
    """Fixed random numbers of a tensor's shape; 1 for a single number."""
    if like.numel() == 1:
        return torch.ones_like(like)
    return _normal(like, torch.Generator().manual_seed(seed))


def in_double(gm: GraphModule) -> GraphModule:
    """A copy of the graph whose gates make and convert to float64 instead of other precisions."""
    new = GraphModule(gm, copy.deepcopy(gm.graph))

    def wider(leaf: Any) -> Any:
        floating = isinstance(leaf, torch.dtype) and leaf.is_floating_point
        return torch.float64 if floating else leaf

    for node in new.graph.nodes:
        if node.op == "call_function":
            node.args = tree_map(wider, node.args)
            node.kwargs = tree_map(wider, node.kwargs)
        elif node.op == "get_attr":
            setattr(new, node.target, double(getattr(new, node.target)))
    return new


def double(leaf: Any) -> Any:
    """A floating tensor in float64, its own copy; anything else as it is."""
    if isinstance(leaf, Tensor) and leaf.is_floating_point():
        return leaf.detach().to(torch.float64, copy=True)
    return leaf


def isolate(node: Node, values: Mapping[Node, Any], used: Any) -> Subject:
    """One gate of a graph alone, at the values it has there.

    Args:
        values: the value on every wire of its graph.
        used: for a gate with several outputs, which of them count (None: does not).
    """
    graph = Graph()
    wires = {n: graph.placeholder(n.name) for n in node.all_input_nodes}
    new = graph.node_copy(node, lambda n: wires[n])
    seeds: dict[Node, Tensor] = {}
    if isinstance(values[node], (tuple, list)):
        for index, part in enumerate(values[node]):
            if used is not None and used[index] is not None and backprop.is_floating(part):
                out = graph.call_function(operator.getitem, (new, index))
                seeds[out] = cotangent(part, index)
    else:
        seeds[new] = cotangent(values[node], 0)
    graph.output(tuple(seeds))
    gm = GraphModule(torch.nn.Module(), graph)
    return Subject(gm, [values[n] for n in wires], seeds)
