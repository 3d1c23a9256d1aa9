"""Passes over the flat graph of a step: fewer gates, the same results bit for bit.

Each is a function ``name(gm) -> gates removed``, in a file of its own. A write ends what they
look at: behind it the same wire may hold another value.
"""

from __future__ import annotations

from collections.abc import Callable

from torch.fx import GraphModule

from backlit.lower.passes.clean_identities import clean_identities
from backlit.lower.passes.clean_parts import clean_parts
from backlit.lower.passes.clean_views import clean_views
from backlit.lower.passes.common_subexpressions import common_subexpressions
from backlit.lower.passes.dead_gates import dead_gates
from backlit.lower.passes.dead_writes import dead_writes
from backlit.lower.passes.fold_constants import fold_constants

__all__ = [
    "PASSES",
    "Removed",
    "apply_passes",
    "clean_identities",
    "clean_parts",
    "clean_views",
    "common_subexpressions",
    "dead_gates",
    "dead_writes",
    "fold_constants",
]

Removed = dict[str, int]
PASSES: tuple[Callable[[GraphModule], int], ...] = (
    dead_gates,
    fold_constants,
    clean_identities,
    clean_parts,
    clean_views,
    common_subexpressions,
)


def apply_passes(gm: GraphModule) -> Removed:
    """Runs every pass until none finds more.

    Args:
        gm: the flat step graph, its wires' example values in ``meta["val"]``; changed in place.
    Returns: the gates each pass removed, by its name.
    """
    removed = {each.__name__: 0 for each in PASSES}
    while True:
        found = {each.__name__: each(gm) for each in PASSES}
        for name, n in found.items():
            removed[name] += n
        if not any(found.values()):
            break
    gm.graph.lint()
    gm.recompile()
    return removed
