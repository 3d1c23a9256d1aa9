"""Second derivatives of a graph without the Hessian itself: its products with vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from backlit.errors import BacklitError
from backlit.graph import backprop
from backlit.graph.graph import Graph


@torch.no_grad()
def hvp(
    graph: Graph, vectors: Mapping[str, Tensor], *inputs: Any, seed: int = 0, **kwargs: Any
) -> dict[str, Tensor]:
    """Product of the Hessian of a graph's scalar output with a vector: H v = ∂(∇f · v)/∂x.

    Args:
        graph: ends in one scalar.
        vectors: v by parameter or input name, each of its tensor's shape; 0 for the others.
        inputs, kwargs: its inputs; the ones it was captured with by default.
        seed: of the noise, where the graph draws any.
    Returns: H v by name, for every parameter and floating input.
    Raises: BacklitError for a name the graph has no gradient of, or another shape.

    Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian", equation (2).
    """
    wanted = {graph.inputs[i].name: i for i in graph.differentiable_inputs()}
    gradients = graph.gradient_graph()
    flat = gradients.flat_inputs(inputs, kwargs, seed)
    for name, vector in vectors.items():
        if name not in wanted:
            known = ", ".join(wanted)
            raise BacklitError(f"hvp: expected names among {known}, got a vector for '{name}'")
        if vector.shape != flat[wanted[name]].shape:
            raise BacklitError(
                f"hvp: vector of '{name}': expected shape {tuple(flat[wanted[name]].shape)}, "
                f"got {tuple(vector.shape)}"
            )
    _, values = backprop.forward(gradients.gm, flat)
    outputs = backprop.output_wires(gradients.gm)
    _, positions = torch.utils._pytree.tree_unflatten(range(len(outputs)), gradients.out_spec)
    seeds: dict[Any, Tensor] = {}
    for name, vector in vectors.items():
        wire = outputs[positions[name]] if name in positions else None
        if isinstance(wire, torch.fx.Node):
            seeds[wire] = seeds[wire] + vector if wire in seeds else vector
    wires = backprop.placeholders(gradients.gm)
    grads = backprop.backward(gradients.gm, values, seeds, [wires[i] for i in wanted.values()])
    result = {}
    for name, position in wanted.items():
        product = grads.get(wires[position])
        result[name] = torch.zeros_like(flat[position]) if product is None else product
    return result
