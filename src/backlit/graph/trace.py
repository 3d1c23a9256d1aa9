"""Tracing: ordinary tensor code, backpropagation included, becomes one flat graph of gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import TreeSpec, tree_flatten

from backlit.gates import REGISTRY
from backlit.graph.recurrent import UNROLLED


@cache
def decompositions() -> dict[Any, Any]:
    """How operations without a gate fall apart: PyTorch's core table, less what has a gate, and
    Backlit's own rules for what that table gets wrong.

    The table is the granularity: an operation that has a gate stays one gate. `detach` must
    stay in any case, or stop-gradients would vanish without a warning.
    """
    table = dict(torch.export.default_decompositions().items())
    return {op: rule for op, rule in table.items() if op not in REGISTRY} | UNROLLED


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

    with torch.no_grad():
        gm = make_fx(flat, decomposition_table=decompositions(), tracing_mode="fake")(*inputs)
    gm.graph.eliminate_dead_code()
    for node, name in zip(list(gm.graph.nodes), names, strict=False):
        node._rename(name.replace(".", "_"))
        node.target = node.name
    gm.recompile()
    return gm, spec[-1]
