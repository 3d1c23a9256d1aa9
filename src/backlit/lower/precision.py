"""Lower precision: the costly gates of a float32 step in bfloat16, its masters in float32.

Each gate class says what it tolerates (`Gate.precision`). Matrix products, convolutions and their
adjoints take bfloat16; elementwise gates follow; reductions, statistics, exponentials, losses and
updates stay float32, and so does every tensor of the state. What only float32 gates read is
computed in float32, so that nothing is rounded on its way from a product to them.

Source: Micikevicius et al. 2018, "Mixed Precision Training", section 3.1 (master weights).
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from backlit.errors import BacklitError
from backlit.gates import gate_of
from backlit.gates.base import aten
from backlit.graph.backprop import evaluate, placeholders
from backlit.graph.origin import origin_of
from backlit.graph.quick_export import quick_trace
from backlit.lower.passes.common import value
from backlit.lower.retrace import last_copies

Wires = dict[Node, Node]  # of the graph as it was: those of the new one
# Views of a whole matrix: a cast may come before or behind them.
_TURNS = {aten.t.default, aten.transpose.int, aten.permute.default, aten.view.default}
# Tensors put together: where one is cast already, so are the others.
_JOINS = {aten.cat.default, aten.stack.default}


def lower_precision(gm: GraphModule, dtype: torch.dtype = torch.bfloat16) -> GraphModule:
    """The same step with what tolerates it in a lower precision.

    Args:
        gm: a flat float32 step graph; float64 gates are left as they are.
        dtype: the low precision, `torch.bfloat16`.
    Returns: a new graph; its inputs, the state it writes and its results keep their dtypes.
    Raises: BacklitError for another dtype, whose gradients would need a loss scale; GateError for
        a graph that does not end in copies into its inputs.
    """
    if dtype != torch.bfloat16:
        raise BacklitError(
            f"precision: expected torch.bfloat16, got {dtype}; no other is lowered to"
        )
    return _Lowered(gm, dtype).build()


class _Lowered:
    """Builds a step's graph anew, each gate in the precision its class and its place allow."""

    def __init__(self, gm: GraphModule, dtype: torch.dtype):
        self.dtype = dtype
        self._gm, self._graph = gm, Graph()
        self._mode = placeholders(gm)[0].meta["val"].fake_mode
        self._new: Wires = {}
        self._low: Wires = {}  # each wire is cast once, however many gates read it
        self._first_low = set[Node]()  # gates of several outputs, of which the first is lowered
        # Gates that follow and that only float32 gates read, directly or through such gates.
        self._full = set[Node]()
        for node in reversed(gm.graph.nodes):
            if node.op == "call_function" and self._precision(node) == "follow":
                if all(u in self._full or self._precision(u) == "full" for u in node.users):
                    self._full.add(node)

    def build(self) -> GraphModule:
        """The new graph; what it writes and returns has the dtypes it had."""
        *nodes, output = self._gm.graph.nodes
        ends = [*last_copies(self._gm), output]
        for node in nodes[: len(nodes) + 1 - len(ends)]:
            is_gate = node.op == "call_function"
            self._new[node] = self._gate(node) if is_gate else self._graph.node_copy(node)
        results = {wire: self._as_it_was(wire) for end in ends for wire in end.all_input_nodes}
        for end in ends:
            self._graph.node_copy(end, results.__getitem__)
        self._graph.lint()
        with quick_trace():
            return GraphModule(self._gm, self._graph)

    def _gate(self, node: Node) -> Node:
        """A gate in the new graph, with the casts it needs."""
        inputs = node.all_input_nodes
        how = self._precision(node)
        if how == "low":
            made = self._copy(node, {wire: self._lowered(wire) for wire in inputs})
        elif how in ("full", "mixed") or node in self._full or self._mixes(node):
            made = self._copy(node, {wire: self._raised(wire, node) for wire in inputs})
        else:
            made = self._copy(node, self._new)
        if how == "mixed" and value(self._new[inputs[0]]).dtype == self.dtype:
            self._first_low.add(node)
        if node.target is operator.getitem and node.args[1] == 0 and inputs[0] in self._first_low:
            made = self._cast(made, self.dtype, node)
        return made

    def _precision(self, node: Node) -> str:
        if node.target is operator.getitem:
            return "follow"
        gate = gate_of(node.target)
        origin = origin_of(node)
        # In a step, what belongs to no module is a loss, a penalty or an update.
        outside = origin.role == "update" or (origin.phase and not origin.module)
        return "full" if gate is None or outside else gate.precision

    def _mixes(self, node: Node) -> bool:
        """Whether a low wire meets a float32 one; a 0-d tensor counts as a number."""
        inputs = [value(self._new[wire]) for wire in node.all_input_nodes]
        kinds = {t.dtype for t in inputs if isinstance(t, Tensor) and t.dim()}
        return self.dtype in kinds and any(k.is_floating_point for k in kinds - {self.dtype})

    def _raised(self, wire: Node, reader: Node) -> Node:
        """A wire in float32, cast on behalf of the gate that reads it."""
        new = self._new[wire]
        low = isinstance(value(new), Tensor) and value(new).dtype == self.dtype
        return self._cast(new, torch.float32, reader) if low else new

    def _lowered(self, wire: Node) -> Node:
        """A wire in low precision; of a view the source is cast, which other gates may share.

        A parameter is cast in its own shape, not as a part of the vector it lies in: there the
        compiler can give the cast the layout its readers want, instead of copying it for each.
        """
        new = self._new[wire]
        now = value(new)
        if not isinstance(now, Tensor) or now.dtype != torch.float32:
            return new
        if wire not in self._low:
            parts = wire.all_input_nodes
            if wire.op == "call_function" and wire.target in _TURNS and not _is_shaped(wire):
                self._low[wire] = self._copy(wire, {parts[0]: self._lowered(parts[0])})
            elif self._low.keys() & set(parts) and wire.target in _JOINS:
                self._low[wire] = self._copy(wire, {part: self._lowered(part) for part in parts})
            else:
                self._low[wire] = self._cast(new, self.dtype, wire)
        return self._low[wire]

    def _as_it_was(self, wire: Node) -> Node:
        """A wire in the dtype it had."""
        new, before = self._new[wire], value(wire)
        same = not isinstance(before, Tensor) or value(new).dtype == before.dtype
        return new if same else self._cast(new, before.dtype, wire)

    def _cast(self, new: Node, dtype: torch.dtype, of: Node) -> Node:
        """A cast in the new graph that belongs to a gate of the old one."""
        cast = self._graph.call_function(aten._to_copy.default, (new,), {"dtype": dtype})
        cast.meta = {"origin": origin_of(of), "val": value(new).to(dtype)}
        return cast

    def _copy(self, node: Node, wires: Wires) -> Node:
        """A gate on other wires; where their values are as they were, so is its own."""
        copied = self._graph.node_copy(node, wires.__getitem__)
        copied.meta["origin"] = origin_of(node)
        values = {wire: value(wires[wire]) for wire in node.all_input_nodes}
        if any(now is not value(wire) for wire, now in values.items()):
            with self._mode:
                copied.meta["val"] = evaluate(node, values)
        return copied


def _is_shaped(wire: Node) -> bool:
    """Whether a wire is a part of a vector, seen in another shape."""
    source: Any = wire.args[0]
    return wire.target is aten.view.default and value(source).dim() == 1
