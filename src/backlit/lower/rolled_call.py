"""The call of a rolled graph: its compiled pieces one after the other, by a plan of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import getitem
from typing import Any

from torch import nn
from torch.fx import Graph, GraphModule, Node

from backlit.graph.backprop import output_wires, placeholders
from backlit.lower.direct.call import direct_call


@dataclass(frozen=True)
class Plan:
    """Which piece is called with what; JSON-able.

    Wires are counted from 0: first the inputs, then what is taken of each call, in order.

    Attributes:
        inputs: how many the whole has.
        calls: in order: the piece's number, the wires it gets, the positions of what is taken of
            the tuple that it gives.
        outputs: wires that the whole gives.
    """

    inputs: int
    calls: Sequence[tuple[int, Sequence[int], Sequence[int]]]
    outputs: Sequence[int]


class RolledCall:
    """Pieces called by a plan; a function of the whole's inputs.

    Args:
        pieces: functions of tensors, each gives a tuple.
        plan: how they are called.
    Raises: LookupError for a plan of pieces or wires that are not there.
    """

    def __init__(self, pieces: Sequence[Callable[..., Any]], plan: Plan):
        self.pieces, self.plan = pieces, plan
        graph = Graph()
        wires = [graph.placeholder(f"i{i}") for i in range(plan.inputs)]
        for piece, inputs, taken in plan.calls:
            call = graph.call_module(str(piece), tuple(wires[i] for i in inputs))
            wires += [graph.call_function(getitem, (call, position)) for position in taken]
        graph.output(tuple(wires[i] for i in plan.outputs))
        gm = GraphModule({str(i): nn.Module() for i in range(len(pieces))}, graph)
        for node in gm.graph.nodes:
            if node.op == "call_module":  # (a piece has no name to write code with)
                node.op, node.target = "call_function", pieces[int(node.target)]
        self._call = direct_call(gm)

    def __call__(self, *inputs: Any) -> Any:
        return self._call(*inputs)


def rolled_call(rolled: GraphModule, pieces: Mapping[str, Callable[..., Any]]) -> RolledCall:
    """The call of a graph as `backlit.lower.roll` makes it.

    Args:
        pieces: what each of its modules was compiled to, by name.
    """
    entries = placeholders(rolled)
    names = list(pieces)
    wires: dict[Node, int] = {wire: i for i, wire in enumerate(entries)}
    calls: list[tuple[int, Sequence[int], Sequence[int]]] = []
    for node in rolled.graph.nodes:
        if node.op == "call_module":
            parts: list[Any] = list(node.users)
            calls.append(
                (
                    names.index(node.target),
                    [wires[wire] for wire in node.args],
                    [part.args[1] for part in parts],
                )
            )
            wires |= {part: len(wires) + i for i, part in enumerate(parts)}
    outputs = [wires[wire] for wire in output_wires(rolled)]
    return RolledCall(list(pieces.values()), Plan(len(entries), calls, outputs))
