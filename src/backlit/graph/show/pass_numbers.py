"""What a watched pass saw on each wire, as the numbers that are shown."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from backlit.gates import gate_of
from backlit.graph.show.numbers import Stats, stats_of

# Share of its largest slope that a gate has at output z; where it is near 0 the gate is saturated.
_SLOPES = {
    "Sigmoid": lambda z: 4 * z * (1 - z),
    "Tanh": lambda z: 1 - z * z,
    "ReLU": lambda z: (z > 0).double(),
}


class PassNumbers:
    """What a watched pass saw, as statistics."""

    def __init__(self, watched: Any, pictures: bool):
        self.values: Mapping[str, Any] = watched.value if watched else {}
        self.gradients: Mapping[str, Any] = watched.gradient if watched else {}
        self.pictures = pictures

    def value(self, node: Node) -> Stats | None:
        value = _first(self.values.get(node.name))
        if value is None:
            return None
        gate = gate_of(node.target)
        slope = _SLOPES.get(gate.__name__) if gate else None
        colour = gate is None or gate.__name__ in ("Tanh", "Sigmoid")
        return stats_of(value, slope(value) if slope else None, self.pictures, colour)

    def gradient(self, node: Node) -> Stats | None:
        grad = _first(self.gradients.get(node.name))
        if grad is None:  # of several outputs, the first one's wire has it
            first = [u for u in node.users if u.target is operator.getitem and u.args[1] == 0]
            grad = self.gradients.get(first[0].name) if first else None
        return stats_of(grad, None, self.pictures)

    def local(self, node: Node) -> tuple[float, ...] | None:
        """The local gradient of each input wire, where all is scalar."""
        z, gate = self.values.get(node.name), gate_of(node.target)
        wires = [a for a in node.args if isinstance(a, Node)]
        seen = [self.values.get(n.name) for n in wires]
        if gate is None or not all(
            isinstance(t, Tensor) and t.dim() == 0 and t.is_floating_point() for t in (z, *seen)
        ):
            return None
        args = [self.values[a.name] if isinstance(a, Node) else a for a in node.args]
        with torch.no_grad():
            rule = gate.backward(torch.ones_like(z), z, *args, **node.kwargs)  # type: ignore[arg-type]
            found = [
                grad() if callable(grad) else grad
                for arg, grad in zip(node.args, rule, strict=False)
                if isinstance(arg, Node)
            ]
        return tuple(0.0 if g is None else float(g) for g in found)


def _first(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return next(iter(value), None)
    return value
