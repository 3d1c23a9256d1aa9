"""What happens to a step's graph before it is compiled: passes, precision, joined products."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor
from torch.fx import GraphModule

from backlit.errors import BacklitError
from backlit.graph.backprop import placeholders
from backlit.lower.batched_products import batch_products
from backlit.lower.passes import apply_passes
from backlit.lower.precision import lower_precision
from backlit.lower.zero_gradients import drop_zero_gradients

PRECISIONS = ("float32", "bfloat16", "float64")


def prepare_graph(
    gm: GraphModule, inputs: Sequence[Tensor], precision: str | None = None
) -> GraphModule:
    """The graph as it is to be run fast; the one given is left as it is.

    Passes keep every bit; of recurrent nets, joined products and sums are equal up to rounding, and
    a zero gradient that is not added may leave a -0 where there was 0.

    Args:
        gm: the flat step graph.
        inputs: what it will be called with, in the order of its placeholders.
        precision: ``"bfloat16"`` lowers what tolerates it; otherwise the tensors' own.
    Raises: BacklitError for an unknown precision or other inputs than it was traced with.
    """
    if precision is not None and precision not in PRECISIONS:
        raise BacklitError(f"precision: expected one of {', '.join(PRECISIONS)}, got '{precision}'")
    for wire, given in zip(placeholders(gm), inputs, strict=True):
        like = wire.meta["val"]
        if like.shape != given.shape or like.dtype != given.dtype:
            raise BacklitError(
                f"input '{wire.name}': expected {tuple(like.shape)} {like.dtype}, with which the "
                f"step was traced, got {tuple(given.shape)} {given.dtype}"
            )
    gm = copy.deepcopy(gm)
    apply_passes(gm)
    if drop_zero_gradients(gm) + batch_products(gm):  # before products and sums differ in precision
        apply_passes(gm)
    if precision == "bfloat16":
        gm = lower_precision(gm)
        apply_passes(gm)
    return gm
