"""The form of a step's graph that is run directly, where no compiler is at hand.

PyTorch's own fused operations take the place of the gates that derivatives and updates were
opened into, and results are written over what is no longer needed. The graph that is looked at
stays as it is: only the prepared copy is changed. Results agree to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from torch.fx import GraphModule

from backlit.lower.direct.activations import fuse_activations
from backlit.lower.direct.adam import fuse_adam
from backlit.lower.direct.average import fuse_averages
from backlit.lower.direct.batch_norm import fuse_batch_norm
from backlit.lower.direct.call import direct_call
from backlit.lower.direct.gradients import join_gradients
from backlit.lower.direct.in_place import write_in_place
from backlit.lower.direct.products import add_products, turn_products
from backlit.lower.passes import apply_passes, common_subexpressions, dead_gates, dead_writes

__all__ = [
    "add_products",
    "direct",
    "direct_call",
    "fuse",
    "fuse_activations",
    "fuse_adam",
    "fuse_averages",
    "fuse_batch_norm",
    "join_gradients",
    "turn_products",
    "write_in_place",
]

_PASSES: tuple[Callable[[GraphModule], int], ...] = (
    dead_writes,
    turn_products,
    add_products,
    fuse_batch_norm,
    fuse_activations,
    fuse_averages,
    dead_gates,
    common_subexpressions,
    join_gradients,
)


def direct(gm: GraphModule, kept: Collection[int] = ()) -> Callable[..., Any]:
    """A prepared graph as a function that calls its fused form operation by operation.

    Args:
        gm: the flat step graph as `prepare_graph` gives it; changed in place.
        kept: positions of inputs that are the same memory in most calls: the state.
    """
    fuse(gm)
    return direct_call(gm, kept)


def fuse(gm: GraphModule) -> dict[str, int]:
    """Makes a prepared graph ready to be run directly.

    Args:
        gm: the flat step graph as `prepare_graph` gives it; changed in place.
    Returns: what each pass found, by its name.
    """
    found = {each.__name__: each(gm) for each in _PASSES}
    apply_passes(gm)
    for each in (fuse_adam, dead_gates, write_in_place):
        found[each.__name__] = found.get(each.__name__, 0) + each(gm)
    gm.graph.lint()
    gm.recompile()
    return found
