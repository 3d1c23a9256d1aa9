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
from torch.fx import GraphModule, Node

from backlit.errors import BacklitError
from backlit.gates import gate_of
from backlit.gates.base import aten
from backlit.graph.backprop import evaluate
from backlit.graph.origin import origin_of, stamp
from backlit.lower.retrace import retrace

Values = dict[Node, Any]
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
    Raises: BacklitError for another dtype, whose gradients would need a loss scale.
    """
    if dtype != torch.bfloat16:
        raise BacklitError(
            f"precision: expected torch.bfloat16, got {dtype}; no other is lowered to"
        )
    return retrace(gm, _Lowered(gm, dtype))


class _Lowered:
    """Runs a gate in the precision its class and its place in the step allow."""

    def __init__(self, gm: GraphModule, dtype: torch.dtype):
        self.dtype = dtype
        self._low: Values = {}  # each wire is cast once, however many gates read it
        # Gates that follow and that only float32 gates read, directly or through such gates.
        self._full = set[Node]()
        for node in reversed(gm.graph.nodes):
            if node.op == "call_function" and self._precision(node) == "follow":
                if all(u in self._full or self._precision(u) == "full" for u in node.users):
                    self._full.add(node)

    def __call__(self, node: Node, values: Values) -> Any:
        how = self._precision(node)
        if how == "low":
            wires = {wire: self._lowered(wire, values) for wire in node.all_input_nodes}
        elif how in ("full", "mixed") or node in self._full or self._mixes(node, values):
            wires = {wire: self._raised(values[wire]) for wire in node.all_input_nodes}
        else:
            return evaluate(node, values)
        result = evaluate(node, wires)
        if how == "mixed" and values[node.all_input_nodes[0]].dtype == self.dtype:
            return (result[0].to(self.dtype), *result[1:])
        return result

    def _precision(self, node: Node) -> str:
        if node.target is operator.getitem:
            return "follow"
        gate = gate_of(node.target)
        origin = origin_of(node)
        # In a step, what belongs to no module is a loss, a penalty or an update.
        outside = origin.role == "update" or (origin.phase and not origin.module)
        return "full" if gate is None or outside else gate.precision

    def _mixes(self, node: Node, values: Values) -> bool:
        """Whether a low wire meets a float32 one; a 0-d tensor counts as a number."""
        inputs = [values[wire] for wire in node.all_input_nodes]
        kinds = {t.dtype for t in inputs if isinstance(t, Tensor) and t.dim()}
        return self.dtype in kinds and any(k.is_floating_point for k in kinds - {self.dtype})

    def _raised(self, value: Any) -> Any:
        low = isinstance(value, Tensor) and value.dtype == self.dtype
        return value.to(torch.float32) if low else value

    def _lowered(self, wire: Node, values: Values) -> Any:
        """A wire in low precision; of a view the source is cast, which other gates may share."""
        value = values[wire]
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        if wire not in self._low:
            with stamp(origin_of(wire)):
                if wire.op == "call_function" and wire.target in _TURNS:
                    source: Any = wire.args[0]
                    self._low[wire] = evaluate(wire, {source: self._lowered(source, values)})
                elif self._low.keys() & set(wire.all_input_nodes) and wire.target in _JOINS:
                    parts = {part: self._lowered(part, values) for part in wire.all_input_nodes}
                    self._low[wire] = evaluate(wire, parts)
                else:
                    self._low[wire] = value.to(self.dtype)
        return self._low[wire]
