"""A network in one role of a step, captured; its tensors live in the step's state by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from backlit.errors import CaptureError
from backlit.graph import Graph, Noise, capture, origin_of
from backlit.graph.backprop import backward, forward, output_wires, placeholders

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Outcome:
    """What one pass of a network gives: its output, its new buffers, and (asked for) d/dx.

    `others` are the tensors it returns behind the first.
    """

    output: Tensor
    buffers: Tensors
    grad_input: Tensor | None = None
    others: tuple[Tensor, ...] = ()


class Captured:
    """A network in one role, captured in training mode for its inputs' shapes.

    Args:
        role: ``"generator"``, ``"network"``, ...; the prefix of its names in the state.
        module: the network.
        inputs: an example of each input by name; the first is given by position, the others by
            the name of their argument.
        others: how many tensors it returns behind the first, default none.
    Raises: CaptureError for a network that returns more or fewer.
    """

    def __init__(self, role: str, module: nn.Module, inputs: Mapping[str, Tensor], others: int = 0):
        self.role = role
        first, *further = inputs
        named: dict[str, Any] = {name: inputs[name] for name in further}
        self.graph: Graph = capture(module.train(), inputs[first], verdict="once", **named)
        for node in self.graph.gm.graph.nodes:
            if node.op == "call_function":
                origin = origin_of(node)
                path = f"{role}.{origin.module}" if origin.module else role
                node.meta["origin"] = replace(origin, module=path)
        wires = output_wires(self.graph.gm)[len(self.graph.new_buffers) :]
        if len(wires) != 1 + others:
            wanted = f"the scores and {others} to carry on" if others else "one tensor"
            raise CaptureError(
                f"expected a {role} that returns {wanted}, {type(module).__name__} returns "
                f"{len(wires)}"
            )
        self._score = wires[0]
        self._entry = next(
            node
            for wire, node in zip(self.graph.inputs, placeholders(self.graph.gm), strict=True)
            if wire.kind == "input"
        )
        self.trainable = [n for n, p in module.named_parameters() if p.requires_grad]

    @staticmethod
    def tensors(role: str, module: nn.Module) -> Tensors:
        """The network's live parameters and buffers under their names in the state."""
        found = [*module.named_parameters(), *module.named_buffers()]
        return {f"{role}/{name}": tensor for name, tensor in found}

    @property
    def output(self) -> Tensor:
        """What it gave for the examples, without its numbers."""
        like: Tensor = self._score.meta["val"]
        return like

    def noise(self, site: str) -> dict[str, Noise]:
        """The noise one pass draws (dropout and the like), named for the place of the pass."""
        return {
            f"{site}/{wire.name}": wire.noise
            for wire in self.graph.inputs
            if wire.noise is not None
        }

    def run(
        self,
        state: Tensors,
        inputs: Sequence[Tensor],
        noise: Tensors,
        site: str,
        slope: bool = False,
    ) -> Outcome:
        """One pass: pure tensor code, meant to be traced.

        Args:
            state: has this network's tensors under ``role/name``.
            inputs: in the order of the examples.
            noise: has what `noise(site)` names.
            slope: also give the gradient of the summed output with respect to the first input.
        """
        entries = iter(inputs)
        flat = []
        for wire in self.graph.inputs:
            if wire.kind == "input":
                flat.append(next(entries))
            elif wire.kind == "noise":
                flat.append(noise[f"{site}/{wire.name}"])
            elif wire.kind == "constant":
                flat.append(self.graph.bindings[wire.name])
            else:
                flat.append(state[f"{self.role}/{wire.name}"])
        outputs, values = forward(self.graph.gm, flat)
        n = len(self.graph.new_buffers)
        names = [f"{self.role}/{name}" for name in self.graph.new_buffers]
        grad = None
        if slope:
            seed = {self._score: torch.ones_like(outputs[n])}
            grad = backward(self.graph.gm, values, seed, [self._entry]).get(self._entry)
            grad = torch.zeros_like(inputs[0]) if grad is None else grad
        buffers = dict(zip(names, outputs[:n], strict=True))
        return Outcome(outputs[n], buffers, grad, tuple(outputs[n + 1 :]))
