"""`backlit look --kernels`: how each costly gate is computed on this machine."""

from functools import partial
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import GraphModule

    from backlit.graph import Graph


def kernels_of(found: Any, given: tuple[Any, ...]) -> str:
    """The table of kernels of a game's step, or of a graph's forward and backward pass.

    Args:
        found: a `Game`, a `Supervised`, a `Graph` or what `capture` takes.
        given: its batch and step, or the inputs to capture with.
    """
    from backlit.cli.target import prepared
    from backlit.gan import Game
    from backlit.graph import Graph, capture
    from backlit.lower import choose, kernel_table
    from backlit.supervised import Supervised

    inputs: list[Tensor] = []
    if isinstance(found, Game | Supervised):
        gm = prepared(found, given[0])[0].gm
    else:
        graph = found if isinstance(found, Graph) else capture(found, *given)
        gm, inputs = _both_passes(graph)
    return kernel_table(choose(gm, inputs, told=partial(typer.echo, err=True)))


def _both_passes(graph: "Graph") -> "tuple[GraphModule, list[Tensor]]":
    """Forward and backward of the sum of a graph's outputs, as one flat graph."""
    from backlit.graph import backprop
    from backlit.graph.show.timing import seeds_of
    from backlit.graph.trace import trace

    inputs = graph.flat_inputs((), {}, 0)
    wires = backprop.placeholders(graph.gm)
    wanted = [wires[position] for position in graph.differentiable_inputs()]

    def both(*tensors: "Tensor") -> Any:
        outputs, values = backprop.forward(graph.gm, tensors)
        grads = backprop.backward(graph.gm, values, seeds_of(graph, values), wanted)
        return outputs, [grads[wire] for wire in wanted if grads.get(wire) is not None]

    return trace(both, [x.detach() for x in inputs])[0], inputs
