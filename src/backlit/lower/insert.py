"""New gates in a graph, written as tensor code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node, Proxy
from torch.fx.node import map_arg
from torch.fx.proxy import GraphAppendingTracer

from backlit.gates.base import aten
from backlit.graph.origin import origin_of
from backlit.lower.passes.common import value


def insert(before: Node, code: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Tensor code as new gates before another, from which they take their origin.

    Args:
        code: of aten operations; of the wires among the arguments it gets stand-ins.
    Returns: the wire of its result; what is none, None for example, as it is.
    """
    graph: Graph = before.graph
    tracer, last = GraphAppendingTracer(graph), before.prev
    with graph.inserting_before(before):
        wires: Any = map_arg(list(arguments), lambda wire: Proxy(wire, tracer))  # type: ignore[arg-type, return-value]
        made: Any = code(*wires)
    # Of an operator without tensors the example must be as unreal as the others.
    unreal = getattr(value(before.all_input_nodes[0]), "fake_mode", nullcontext())
    while last.next is not before:
        last = last.next
        last.meta["origin"] = origin_of(before)
        with unreal:
            last.meta["val"] = example(last)
    return made.node if isinstance(made, Proxy) else made


def created_beside(wire: Any, operator: Any, *args: Any, **kwargs: Any) -> Any:
    """Code of an operator that takes no tensors: in the graph of a wire, at once for a tensor."""
    if isinstance(wire, Proxy):
        return wire.tracer.create_proxy("call_function", operator, args, kwargs)
    return operator(*args, **kwargs)


def example(node: Node) -> Any:
    """A gate's example value, None where an input has none."""
    if any(value(wire) is None for wire in node.all_input_nodes):
        return None
    args, kwargs = map_arg((node.args, node.kwargs), value)
    target: Any = node.target
    return target(*args, **kwargs)


def renewed(gm: GraphModule, changes: int) -> int:
    """Checks a changed graph and makes its code anew; returns the number of changes it is given."""
    if changes:
        gm.graph.lint()
        gm.recompile()
    return changes


def read_whole(node: Node, readers: Sequence[Node]) -> None:
    """Has readers see all of a gate's value through a view: it must then lie in memory."""
    like = value(node)
    with node.graph.inserting_after(node):
        view = node.graph.call_function(
            aten.as_strided.default, (node, list(like.shape), list(like.stride()))
        )
    view.meta = dict(node.meta)
    for reader in readers:
        reader.replace_input_with(node, view)


def kept_in_order(
    x: Any, shape: Sequence[int], order: torch.memory_format = torch.contiguous_format
) -> Any:
    """Code of a copy that lies in a memory format, which the compiler makes, and makes once.

    It would compute a copy anew, number by number, where it is read; `as_strided` is the view that
    it gives memory to look at.
    """
    strides = torch.empty(tuple(shape), device="meta", memory_format=order).stride()
    copy = aten.clone.default(x, memory_format=order)
    return aten.as_strided.default(copy, list(shape), list(strides))
