"""Backlit: train neural networks, adversarial ones first, as one visible graph.

    import backlit as bl
    graph = bl.capture(lambda x, y, z: (x + y) * z, x=-2.0, y=5.0, z=-4.0)
    graph.backward()
    print(graph)                                    # a table: gate, value, gradient

    game = bl.Game(generator, discriminator, loss="nonsaturating", penalty=bl.R1(gamma=1.0))
    bl.train(game, bl.data.folder("pictures", size=32), steps=20_000, run="runs/first")

Names are loaded when first used, so that the command line starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from backlit.errors import BacklitError

__version__ = "0.1.0"

if TYPE_CHECKING:
    from backlit import (
        bench,
        cli,
        data,
        gan,
        gates,
        graph,
        losses,
        lower,
        nets,
        step,
        supervised,
        train,
    )
    from backlit.gan import R1, R2, Game, GradientPenalty, adversarial_loss
    from backlit.gates import Gate, gate
    from backlit.graph import Graph, capture, check, hvp
    from backlit.losses import loss
    from backlit.nets import four_equations, network
    from backlit.step import Optimiser, schedule
    from backlit.supervised import Samples, Supervised

_ROOMS = (
    "bench",
    "cli",
    "data",
    "gan",
    "gates",
    "graph",
    "losses",
    "lower",
    "nets",
    "step",
    "supervised",
    "train",
)
_HOME = {
    "Gate": "gates",
    "gate": "gates",
    "Graph": "graph",
    "capture": "graph",
    "check": "graph",
    "four_equations": "nets",
    "hvp": "graph",
    "Optimiser": "step",
    "Game": "gan",
    "GradientPenalty": "gan",
    "R1": "gan",
    "R2": "gan",
    "adversarial_loss": "gan",
    "loss": "losses",
    "network": "nets",
    "Samples": "supervised",
    "Supervised": "supervised",
    "schedule": "step",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"backlit.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"backlit.{_HOME[name]}"), name)
    raise AttributeError(f"module 'backlit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "R1",
    "R2",
    "BacklitError",
    "Game",
    "Gate",
    "GradientPenalty",
    "Graph",
    "Optimiser",
    "Samples",
    "Supervised",
    "__version__",
    "adversarial_loss",
    "bench",
    "capture",
    "check",
    "cli",
    "data",
    "four_equations",
    "gan",
    "gate",
    "gates",
    "graph",
    "hvp",
    "loss",
    "losses",
    "lower",
    "nets",
    "network",
    "schedule",
    "step",
    "supervised",
    "train",
]
