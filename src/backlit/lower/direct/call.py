"""A flat graph as one Python function with as little between its operations as can be.

Each operation is called by its plainest binding; values are dropped after their last use; views
of tensors that stay where they are (the state) are made once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import getitem
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule, Node

from backlit.gates.base import aten
from backlit.graph.backprop import placeholders
from backlit.lower.direct.aliases import shares_memory
from backlit.lower.kept_buffers import KeptBuffers, keep_pages, shared_buffers
from backlit.lower.passes.common import nodes_in, writes

# Bindings that take a gate's own arguments by position, quicker than the general call.
_BOUND: dict[Any, Any] = {
    aten.add.Tensor: torch.add,
    aten.add_.Tensor: torch.Tensor.add_,
    aten.addmm.default: torch.addmm,
    aten.addmm_.default: torch.Tensor.addmm_,
    aten.cat.default: torch.cat,
    aten.copy_.default: torch.Tensor.copy_,
    aten.div.Tensor: torch.div,
    aten.exp.default: torch.exp,
    aten.lerp_.Scalar: torch.Tensor.lerp_,
    aten.mm.default: torch.mm,
    aten.mul.Tensor: torch.mul,
    aten.mul_.Tensor: torch.Tensor.mul_,
    aten.neg.default: torch.neg,
    aten.relu.default: torch.relu,
    aten.relu_.default: torch.relu_,
    aten.sigmoid.default: torch.sigmoid,
    aten.sigmoid_.default: torch.sigmoid_,
    aten.sub.Tensor: torch.sub,
    aten.t.default: torch.t,
    aten.tanh.default: torch.tanh,
    aten.tanh_.default: torch.tanh_,
    # Values may lie in another layout than they were traced with; a view was traced for one.
    aten.view.default: torch.Tensor.reshape,
    aten._unsafe_view.default: torch.Tensor.reshape,
}
_MAY_COPY = {aten._unsafe_view.default, aten.reshape.default, aten._reshape_alias.default}


def direct_call(gm: GraphModule, kept: Collection[int] = ()) -> Callable[..., Any]:
    """The graph as a function of its inputs, which keeps the memory that its lowerings ask for.

    Args:
        gm: a flat graph.
        kept: positions of inputs that are the same memory in most calls.
    Returns: a function of the graph's inputs in order.
    """
    wires = placeholders(gm)
    kept = sorted(kept)
    lasting = _lasting(gm, {wires[i] for i in kept})
    views = [node for node in lasting if any(user not in lasting for user in node.users)]
    make = _function([wires[i] for i in kept], lasting, views, lasting)
    body = [n for n in gm.graph.nodes if n.op in ("call_function", "get_attr") and n not in lasting]
    result = gm.graph.output_node().args[0]
    run = _function([*views, *wires], body, result, (), gm)
    made: list[Any] = []
    seen: list[int] = [-1]
    buffers = shared_buffers()
    keep_pages()

    def call(*inputs: Tensor, _held: KeptBuffers = buffers) -> Any:
        nonlocal made, seen
        now = [inputs[i].data_ptr() for i in kept]
        if now != seen:
            made, seen = make(*[inputs[i] for i in kept]), now
        return run(*made, *inputs)

    return call


def _lasting(gm: GraphModule, kept: set[Node]) -> dict[Node, None]:
    """The gates that only look at inputs that stay, in order."""
    found: dict[Node, None] = {}
    for node in gm.graph.nodes:
        if node.op != "call_function" or node.target in _MAY_COPY or writes(node):
            continue
        inputs = node.all_input_nodes
        if inputs and shares_memory(node) and all(w in kept or w in found for w in inputs):
            found[node] = None
    return found


def _function(
    inputs: Sequence[Node],
    body: Iterable[Node],
    result: Any,
    views: Collection[Node],
    owner: GraphModule | None = None,
) -> Callable[..., Any]:
    """Python code that runs gates one after the other, compiled."""
    names: dict[Node, str] = {node: f"i{k}" for k, node in enumerate(inputs)}
    known: dict[str, Any] = {}
    number: dict[Any, str] = {}

    def constant(thing: Any) -> str:
        name = number.setdefault(id(thing), f"c{len(number)}")
        known[name] = thing
        return name

    def text(part: Any) -> str:
        if isinstance(part, Node):
            return names[part]
        if isinstance(part, (list, tuple)):
            inner = "".join(f"{text(one)}, " for one in part)
            return f"[{inner}]" if isinstance(part, list) else f"({inner})"
        plain = part is None or isinstance(part, (bool, int, str))
        return repr(part) if plain else constant(part)

    nodes = list(body)
    last = {wire: node for node in nodes for wire in node.all_input_nodes}
    stay = {*inputs, *nodes_in(result)}
    lines = [f"def run({', '.join(names.values())}):"]
    for node in nodes:
        names[node] = f"n{len(names)}"
        if node.op == "get_attr":
            value = constant(getattr(owner, str(node.target)))
        elif node.target is getitem:
            value = f"{text(node.args[0])}[{text(node.args[1])}]"
        else:
            named = [f"{key}={text(part)}" for key, part in node.kwargs.items()]
            given = ", ".join([*(text(part) for part in node.args), *named])
            value = f"{constant(_binding(node, node in views))}({given})"
        lines.append(f" {names[node]} = {value}")
        done = [w for w in {*node.all_input_nodes, node} if last.get(w, node) is node]
        dead = [names[w] for w in done if w not in stay]
        if dead:
            lines.append(f" del {', '.join(dead)}")
    lines.append(f" return {text(result)}")
    exec("\n".join(lines), known)
    made: Callable[..., Any] = known["run"]
    return made


def _binding(node: Node, view: bool) -> Any:
    target: Any = node.target
    if target in _BOUND and not view:
        return _BOUND[target]
    return target._op if isinstance(target, OpOverload) else target
