"""Tracing: ordinary tensor code, backpropagation included, becomes one flat graph of gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import TreeSpec, tree_flatten

from backlit.gates import REGISTRY, aten
from backlit.graph.backprop import forward
from backlit.graph.composites import COMPOSITES
from backlit.graph.origin import Renamed
from backlit.graph.quick_export import quick_trace

# Views written in place that `functionalize` leaves (matmul of a vector ends in one): the graph
# goes on from their result, so the plain view says the same.
_IN_PLACE_VIEWS = {
    aten.squeeze_.dim: aten.squeeze.dim,
    aten.squeeze_.default: aten.squeeze.default,
    aten.unsqueeze_.default: aten.unsqueeze.default,
    aten.transpose_.default: aten.transpose.int,
    aten.t_.default: aten.t.default,
}


@cache
def decompositions() -> dict[Any, Any]:
    """How operations without a gate fall apart: PyTorch's core table, less what has a gate, and
    Backlit's own rules for what that table gets wrong.

    The table is the granularity: an operation that has a gate stays one gate. `detach` must
    stay in any case, or stop-gradients would vanish without a warning.
    """
    table = dict(torch.export.default_decompositions().items())
    return {op: rule for op, rule in table.items() if op not in REGISTRY} | COMPOSITES


def trace(
    function: Callable[..., Any], inputs: Sequence[Tensor], names: Sequence[str] = ()
) -> tuple[GraphModule, TreeSpec]:
    """Traces `function(*inputs)` into a flat, functional graph of static shapes.

    Args:
        function: tensor code; may run `forward`/`backward` of other graphs inside.
        inputs: example tensors (only their shape, dtype and device matter).
        names: what to call the placeholders.
    Returns: a graph whose placeholders are `inputs` in order and whose output is a flat tuple,
        dead gates removed; and how `function` nested its result.
    """
    spec: list[TreeSpec] = []

    def flat(*tensors: Tensor) -> tuple[Any, ...]:
        leaves, tree = tree_flatten(function(*tensors))
        spec.append(tree)
        return tuple(leaves)

    gm = _make(flat, inputs)
    if not _writes_last(gm):
        # PyTorch's own decompositions may write in place, even through views (circular padding);
        # a gate has no side effects, so the graph is traced once more with each write a value.
        first, now = gm, Renamed()
        gm = _make(functionalize(partial(_outputs, first, now), remove="mutations"), inputs)
        now.carry_over(first)
        for node in gm.graph.nodes:
            node.target = _IN_PLACE_VIEWS.get(node.target, node.target)
    gm.graph.eliminate_dead_code()
    for node, name in zip(list(gm.graph.nodes), names, strict=False):
        node._rename(name.replace(".", "_"))
        node.target = node.name
    gm.recompile()
    return gm, spec[-1]


@torch.no_grad()
def _make(function: Callable[..., Any], inputs: Sequence[Tensor]) -> GraphModule:
    with quick_trace():
        return make_fx(function, decomposition_table=decompositions(), tracing_mode="fake")(*inputs)


def _writes(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and schema.is_mutable


def _writes_last(gm: GraphModule) -> bool:
    """Whether nobody could tell if a graph's writes were its last gates; if so, they now are.

    That is so for copies into the inputs' memory that nothing reads any more; copies into other
    memory (what `functionalize` leaves of an optimiser's) are removed.
    """
    nodes = list(gm.graph.nodes)
    writes = [node for node in nodes if _writes(node)]
    inputs = {_memory(node) for node in nodes if node.op == "placeholder"}
    last_use: dict[Any, int] = {}
    for i, node in enumerate(nodes):
        last_use.update({_memory(wire): i for wire in node.all_input_nodes})
    for node in writes:
        into = node.args[0]
        if node.target is not aten.copy_.default or node.users or not isinstance(into, Node):
            return False
        if _memory(into) is None or last_use[_memory(into)] > nodes.index(node):
            return False
        if _memory(into) in inputs and into.op != "placeholder":
            return False
    for node in writes:
        if _memory(node.args[0]) in inputs:
            nodes[-1].prepend(node)
        else:
            gm.graph.erase_node(node)
    return True


def _memory(wire: Any) -> int | None:
    """What tells a wire's memory from that of others while it is a fake tensor."""
    like = wire.meta.get("val")
    return like.untyped_storage()._cdata if isinstance(like, Tensor) else None


def _outputs(gm: GraphModule, now: Renamed, *inputs: Tensor) -> Any:
    return forward(gm, inputs, now.note)[0]


def real_like(values: Sequence[Any]) -> list[Tensor]:
    """Tensors of the same shape, layout, dtype and device, outside the mode they were traced in."""
    return [
        torch.empty_strided(v.shape, v.stride(), dtype=v.dtype, device=v.device) for v in values
    ]
