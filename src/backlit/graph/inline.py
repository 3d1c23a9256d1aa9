"""Users' gates replaced by what their forward is made of, for compilers, which see no inside."""

from __future__ import annotations

import copy

import torch
from torch.fx import GraphModule

from backlit.gates.base import REGISTRY
from backlit.gates.user import FUNCTIONS
from backlit.graph.backprop import forward, placeholders
from backlit.graph.trace import real_like, trace


def inline(gm: GraphModule) -> GraphModule:
    """The same graph with each user's gate taken apart into its forward's gates.

    Args:
        gm: a flat graph whose placeholders know their example values (``meta["val"]``).
    Returns: `gm` itself where no user's gate is in it.
    """
    while any(REGISTRY.get(node.target) in FUNCTIONS for node in gm.graph.nodes):
        plain = copy.deepcopy(gm)
        for node in plain.graph.nodes:
            gate = REGISTRY.get(node.target)
            if gate in FUNCTIONS:
                node.target = gate.forward
        wires = placeholders(plain)
        examples = real_like([wire.meta["val"] for wire in wires])

        def run(*inputs: torch.Tensor, gm: GraphModule = plain) -> object:
            return forward(gm, inputs)[0]

        gm, _ = trace(run, examples, [wire.name for wire in wires])
    return gm
