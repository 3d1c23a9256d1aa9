"""Time forward and backward, measured gate by gate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from backlit.devices import wait_for_devices
from backlit.graph import backprop


@dataclass(frozen=True)
class Times:
    """Seconds by gate name: of its forward, and of its rule with the sums at forks."""

    forward: dict[str, float] = field(default_factory=dict)
    backward: dict[str, float] = field(default_factory=dict)


class _Clock:
    """Gives each gate the time since the one before it; keeps the least of several passes."""

    def __init__(self) -> None:
        self.least: dict[str, float] = {}
        self.restart()

    def restart(self) -> None:
        wait_for_devices()
        self.last = time.perf_counter()

    def __call__(self, node: Node, value: Any = None) -> None:
        wait_for_devices()  # a kernel still running belongs to the gate before
        now = time.perf_counter()
        self.least[node.name] = min(self.least.get(node.name, 1e9), now - self.last)
        self.last = time.perf_counter()


@torch.no_grad()
def time_pass(graph: Any, *args: Any, repeats: int = 3, seed: int = 0, **kwargs: Any) -> Times:
    """Measures a graph's forward and backward pass gate by gate.

    The gates run one after the other, as in a watched pass: the sum is more than a compiled
    step takes, the shares tell where the work is.

    Args:
        graph: a `Graph`; the loss is the sum of its floating outputs.
        args, kwargs: its inputs; default the ones it was captured with.
        repeats: passes; each gate keeps its least time.
    """
    inputs = graph.flat_inputs(args, kwargs, seed)
    forward, backward = _Clock(), _Clock()
    wires = backprop.placeholders(graph.gm)
    wanted = [wires[position] for position in graph.differentiable_inputs()]
    for _ in range(repeats):
        forward.restart()
        _, values = backprop.forward(graph.gm, inputs, forward)
        seeds = seeds_of(graph, values)
        backward.restart()
        backprop.backward(graph.gm, values, seeds, wanted, backward)
    return Times(forward.least, backward.least)


@torch.no_grad()
def watch(graph: Any, *args: Any, seed: int = 0, **kwargs: Any) -> tuple[dict[str, Any], ...]:
    """A watched pass of a graph whose outputs need be no loss: gradients of their sum.

    Returns: values and gradients by wire name.
    """
    _, values = backprop.forward(graph.gm, graph.flat_inputs(args, kwargs, seed))
    wires = backprop.placeholders(graph.gm)
    wanted = [wires[position] for position in graph.differentiable_inputs()]
    grads = backprop.backward(graph.gm, values, seeds_of(graph, values), wanted)
    return (
        {node.name: value for node, value in values.items()},
        {node.name: grad for node, grad in grads.items() if grad is not None},
    )


@torch.no_grad()
def time_forward(gm: GraphModule, inputs: Sequence[Any], repeats: int = 3) -> dict[str, float]:
    """Measures a flat graph's forward pass gate by gate; each gate keeps its least time."""
    clock = _Clock()
    for _ in range(repeats):
        clock.restart()
        backprop.forward(gm, inputs, clock)
    return clock.least


def seeds_of(graph: Any, values: dict[Node, Any]) -> dict[Node, Tensor]:
    """Gradient 1 for every floating output: backpropagation of their sum."""
    wires = backprop.output_wires(graph.gm)[len(graph.new_buffers) :]
    return {
        wire: torch.ones_like(values[wire])
        for wire in wires
        if isinstance(wire, Node) and backprop.is_floating(values[wire])
    }
