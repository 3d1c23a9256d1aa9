"""The network, captured for one batch's shapes; its tensors live in the state by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from backlit.errors import CaptureError
from backlit.graph import Graph, capture, origin_of
from backlit.graph.backprop import forward, output_wires
from backlit.graph.noise import Noise

Tensors = dict[str, Tensor]
ROLE = "network"
CARRY = "carry"


class Captured:
    """A network captured in training mode.

    Args:
        module: the network.
        inputs: an example of each input by name; the first is given by position, the others by
            the name of their argument, that of a carried tensor behind ``carry/``.
    """

    def __init__(self, module: nn.Module, inputs: Mapping[str, Tensor]):
        self.names = list(inputs)
        first, *others = self.names
        self.carry = [name for name in others if name.startswith(f"{CARRY}/")]
        named: dict[str, Any] = {name.removeprefix(f"{CARRY}/"): inputs[name] for name in others}
        self.graph: Graph = capture(module.train(), inputs[first], **named)
        for node in self.graph.gm.graph.nodes:
            if node.op == "call_function":
                origin = origin_of(node)
                path = f"{ROLE}.{origin.module}" if origin.module else ROLE
                node.meta["origin"] = replace(origin, module=path)
        outputs = len(output_wires(self.graph.gm)) - len(self.graph.new_buffers)
        if outputs != 1 + len(self.carry):
            wanted = f"the scores and {len(self.carry)} to carry on" if self.carry else "one tensor"
            raise CaptureError(
                f"expected a network that returns {wanted}, {type(module).__name__} returns "
                f"{outputs}"
            )
        self.noise: dict[str, Noise] = {
            wire.name: wire.noise for wire in self.graph.inputs if wire.noise is not None
        }

    def run(self, tensors: Tensors) -> tuple[Tensor, Tensors]:
        """One pass: pure tensor code, meant to be traced.

        Args:
            tensors: parameters and buffers under ``network/name``, inputs and noise by name.
        Returns: the output, and the new buffers and carried tensors by their names in the state.
        """
        entries = iter(self.names)
        flat = []
        for wire in self.graph.inputs:
            if wire.kind == "input":
                flat.append(tensors[next(entries)])
            elif wire.kind == "noise":
                flat.append(tensors[wire.name])
            elif wire.kind == "constant":
                flat.append(self.graph.bindings[wire.name])
            else:
                flat.append(tensors[f"{ROLE}/{wire.name}"])
        outputs, _ = forward(self.graph.gm, flat)
        n = len(self.graph.new_buffers)
        names = [*(f"{ROLE}/{name}" for name in self.graph.new_buffers), *self.carry]
        return outputs[n], dict(zip(names, outputs[:n] + outputs[n + 1 :], strict=True))
