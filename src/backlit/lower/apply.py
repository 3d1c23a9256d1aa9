"""Puts chosen lowerings into a flat graph."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch.fx import GraphModule, Node

from backlit.errors import GateError
from backlit.gates.base import aten
from backlit.lower.autotune import choose
from backlit.lower.costly import costly
from backlit.lower.insert import insert
from backlit.lower.lowerings import DEFAULT, LOWERINGS, Call

# In smaller convolutions another layout costs its neighbours what it gains.
_WORTH_PICTURE_FLOPS = 100_000_000


def apply(gm: GraphModule, inputs: Sequence[Any], chosen: Mapping[str, str]) -> GraphModule:
    """The same graph with chosen lowerings in place of its costly gates.

    Args:
        gm: flat graph of static shapes; left as it is.
        inputs: tensors in the order of its placeholders.
        chosen: lowering by gate, as `choose` names them; other gates stay as they are.
    Raises: GateError for a lowering that does not exist or does not serve the gate.
    """
    new = GraphModule(gm, copy.deepcopy(gm.graph))
    replaced = False
    for node, (gate, call) in costly(new, inputs).items():
        name = chosen.get(gate, DEFAULT)
        found = LOWERINGS[call.kind].get(name)
        if found is None or not found.accepts(call):
            known = ", ".join(n for n, low in LOWERINGS[call.kind].items() if low.accepts(call))
            raise GateError(
                f"gate {node.name} ({gate}): expected a lowering among {known}, got '{name}'; "
                "measure the kernels again"
            )
        if name != DEFAULT:
            put_instead(node, call, _lowered(node, call, found.run))
            replaced = True
    if replaced:
        views_may_copy(new)
    new.graph.lint()
    new.recompile()
    return new


def _lowered(node: Node, call: Call, run: Callable[[Call], Any]) -> Any:
    def code(args: Any, operands: Any, bias: Any) -> Any:
        return run(replace(call, args=args, operands=operands, bias=bias))

    return insert(node, code, [call.args, call.operands, call.bias])


def put_instead(node: Node, call: Call, result: Node) -> None:
    """Lets a wire stand for what a costly gate, or the output of it that is meant, gives."""
    if call.output is None:
        node.replace_all_uses_with(result)
    else:
        for user in list(node.users):
            if user.target is operator.getitem and user.args[1] == call.output:
                user.replace_all_uses_with(result)
                node.graph.erase_node(user)
    if not node.users:
        node.graph.erase_node(node)


def views_may_copy(gm: GraphModule) -> None:
    """Lets views copy where they must: a view was captured for a layout that may be another now."""
    for node in gm.graph.nodes:
        if node.target is aten.view.default:
            node.target = aten.reshape.default


def lower_gates(
    gm: GraphModule,
    inputs: Sequence[Any],
    chosen: Mapping[str, str] | None = None,
    told: Callable[[str], None] | None = None,
) -> tuple[GraphModule, dict[str, str]]:
    """The graph with the fastest lowering of each costly gate.

    Args:
        gm: flat graph of static shapes, as it goes to the compiler.
        inputs: tensors in the order of its placeholders.
        chosen: what an earlier call returned (a run records it): used as it is, nothing is
            measured, so that the same bits come out. None: measure, or use what was measured.
        told: called with a line before each gate is measured.
    Returns: the new graph, and by the gate's name the lowerings other than PyTorch's own.
    """
    if chosen is None:
        measured = choose(gm, inputs, least_picture_flops=_WORTH_PICTURE_FLOPS, told=told)
        chosen = {gate: kernel.chosen for gate, kernel in measured.items()}
    others = {gate: name for gate, name in chosen.items() if name != DEFAULT}
    return (apply(gm, inputs, others) if others else gm), others
