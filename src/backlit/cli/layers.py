"""`backlit look --layers`: a network's parameters and work, layer by layer."""

from typing import Any


def layers_of(found: Any, given: tuple[Any, ...]) -> str:
    """The table of a network, or those of both players of a game.

    Args:
        found: a `Game`, a `Supervised`, a `Graph` or what `capture` takes.
        given: the batch and step of a run, or the inputs to capture with.
    """
    from torch import nn

    from backlit.gan import Game
    from backlit.graph import Graph, capture
    from backlit.lower import layer_table, layers
    from backlit.supervised import Supervised

    if isinstance(found, Game):
        pictures = given[0]
        players = (("generator", (found.noise(len(pictures), 0),)), ("discriminator", (pictures,)))
        return "\n\n".join(
            layer_table(layers(getattr(found, name), *inputs), name) for name, inputs in players
        )
    if isinstance(found, Supervised):
        inputs = {name: t for name, t in given[0].items() if name not in ("y", "restart")}
        x = inputs.pop("x")
        return layer_table(layers(found.network, x, **inputs), type(found.network).__name__)
    if not isinstance(found, nn.Module | Graph):
        found = capture(found, *given)
    return layer_table(layers(found, *given), type(found).__name__)
