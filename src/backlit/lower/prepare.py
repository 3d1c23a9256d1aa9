"""What happens to a step's graph before it is compiled: passes, precision, joined products."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor
from torch.fx import GraphModule

from backlit.errors import BacklitError
from backlit.graph.backprop import placeholders
from backlit.lower.apply import apply
from backlit.lower.autotune import choose
from backlit.lower.batched_products import batch_products
from backlit.lower.lowerings import DEFAULT
from backlit.lower.passes import apply_passes
from backlit.lower.precision import lower_precision

PRECISIONS = ("float32", "bfloat16", "float64")
_WORTH_FLOPS = 100_000_000  # of a gate: in less there is little to gain, and measuring takes longer


def prepare_graph(
    gm: GraphModule,
    inputs: Sequence[Tensor],
    precision: str | None = None,
    kernels: Mapping[str, str] | None = None,
) -> GraphModule:
    """The graph as it is to be run fast; the one given is left as it is.

    Passes keep every bit; joined products of recurrent nets and other kernels are equal up to
    rounding.

    Args:
        gm: the flat step graph.
        inputs: what it will be called with, in the order of its placeholders.
        precision: ``"bfloat16"`` lowers what tolerates it; otherwise the tensors' own.
        kernels: lowering by gate, as `choose_kernels` names them; other gates stay as they are.
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
    if precision == "bfloat16":
        gm = lower_precision(gm)
        apply_passes(gm)
    if batch_products(gm):
        apply_passes(gm)
    return apply(gm, inputs, kernels) if kernels else gm


def choose_kernels(
    gm: GraphModule, inputs: Sequence[Tensor], say: Callable[[str], None] | None = None
) -> dict[str, str]:
    """Measures the kernels of a prepared graph's largest gates, unless that was done before.

    Args:
        gm: as `prepare_graph` gives it without kernels.
        inputs: what it will be called with.
        say: told a line before each gate is measured.
    Returns: by gate, for `prepare_graph`: the lowering, where another than PyTorch's own pays.
    """
    measured = choose(gm, inputs, least_flops=_WORTH_FLOPS, told=say)
    return {gate: kernel.chosen for gate, kernel in measured.items() if kernel.chosen != DEFAULT}
