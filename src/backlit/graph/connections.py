"""How many weights a layer would have with every, with local, and with shared connections."""

# Shapes: x (N, C, *S), w (K, C/groups, *kernel), z (N, K, *S').
from __future__ import annotations

import math
from dataclasses import dataclass

from backlit.gates import aten
from backlit.graph.graph import Graph
from backlit.graph.origin import origin_of


@dataclass(frozen=True)
class Connections:
    """Weights (without biases) that one convolution's connections take.

    Attributes:
        gate: the convolution gate's name.
        module: its module's path.
        hidden: number of its output units for one sample.
        fully: each output connected to every input.
        locally: each output connected to its window, with weights of its own.
        shared: the window's weights shared by all places: what the convolution has.
    """

    gate: str
    module: str
    hidden: int
    fully: int
    locally: int
    shared: int

    def __str__(self) -> str:
        return (
            f"{self.module or self.gate}: {self.hidden:,} units; weights fully connected "
            f"{self.fully:,}, locally connected {self.locally:,}, shared {self.shared:,}"
        )


def connections(graph: Graph) -> list[Connections]:
    """What weight sharing saves, for each (not transposed) convolution of a graph.

    A padding gate in front of a convolution counts as part of it.

    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition",
    section II.
    """
    found = []
    for call in graph:
        if call.node.target is aten.convolution.default and not call.node.args[6]:
            x, w, *_ = call.node.all_input_nodes
            if x.target is aten.constant_pad_nd.default:
                x = x.all_input_nodes[0]
            inputs = math.prod(x.meta["val"].shape[1:])
            window = math.prod(w.meta["val"].shape[1:])
            hidden = math.prod(call.node.meta["val"].shape[1:])
            shared = w.meta["val"].numel()
            module = origin_of(call.node).module
            found.append(
                Connections(call.name, module, hidden, inputs * hidden, window * hidden, shared)
            )
    return found
