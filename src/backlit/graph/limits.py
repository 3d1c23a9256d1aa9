"""What a capture refuses: each known limit with one line that says the detour."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.graph_signature import OutputKind, OutputSpec
from torch.fx import Node

from backlit.errors import CaptureError
from backlit.gates.base import aten
from backlit.gates.user import REPLACED
from backlit.graph.origin import from_export

PENALTY = (
    "give a penalty to Backlit instead (backlit.R1, backlit.GradientPenalty), or build it with "
    "graph.gradient_graph().then(...)"
)


@contextmanager
def refusals() -> Iterator[None]:
    """While a module is exported, stops at what an export would get wrong or not explain."""
    with ExitStack() as stack:
        for holder, name, stand_in in (
            # (below Function.apply, which users keep under other names)
            (torch.autograd.function._SingleLevelFunction, "apply", classmethod(_custom_function)),
            (torch.autograd, "_engine_run_backward", _autograd_inside),
            (torch._functorch.eager_transforms, "grad_increment_nesting", _func_inside),
            (torch._VF, "_pack_padded_sequence", _packing),
        ):
            stack.enter_context(_replaced(holder, name, stand_in))
        yield


@contextmanager
def _replaced(holder: Any, name: str, stand_in: Any) -> Iterator[None]:
    before = vars(holder).get(name)
    setattr(holder, name, stand_in)
    try:
        yield
    finally:
        if before is None:
            delattr(holder, name)
        else:
            setattr(holder, name, before)


def _custom_function(cls: Any, *args: Any) -> Any:
    """A user's gate in the place of a custom autograd function; others lose their backward."""
    if cls in REPLACED:
        return REPLACED[cls](*args)
    if cls.__module__.split(".")[0] != "torch":
        raise CaptureError(
            f"expected gates, got the custom autograd.Function {cls.__qualname__}, whose "
            "backward a capture would lose; register it as a gate: "
            f"backlit.gate(YourGate, replaces={cls.__name__})"
        )
    return super(torch.autograd.function._SingleLevelFunction, cls).apply(*args)


def _autograd_inside(*args: Any, **kwargs: Any) -> Any:
    raise CaptureError(
        f"expected a forward of gates, got autograd.grad or backward inside it; {PENALTY}"
    )


def _func_inside(*args: Any, **kwargs: Any) -> Any:
    raise CaptureError(
        f"expected a forward of gates, got torch.func.grad or vjp inside it; {PENALTY}"
    )


def _packing(*args: Any, **kwargs: Any) -> Any:
    raise CaptureError(
        "expected sequences of one length, got pack_padded_sequence, whose steps depend on "
        "the lengths' values; pad the sequences and mask the outputs behind each one's end"
    )


# What torch.export says, in order, and what that means for the user.
_CAUSES: tuple[tuple[Callable[[str], bool], str], ...] = (
    (
        lambda text: "ctc_loss" in text,
        "computes a CTC loss, whose shapes depend on the labels; compute it outside the graph "
        "with PyTorch and pass its gradient in",
    ),
    (
        lambda text: "fake tensor in the exported program" in text or ".data" in text,
        "reads or writes a tensor past autograd (.data, or a tensor kept between calls); use "
        ".detach() to stop a gradient, and torch.no_grad() between steps to change a parameter",
    ),
    (lambda text: ".numpy()" in text, "goes through numpy; write it in torch operations"),
    (
        lambda text: "data-dependent" in text.lower() or "unbacked" in text.lower(),
        "has shapes or branches that depend on values; use torch.where, a mask that multiplies, "
        "or fixed shapes",
    ),
)


def explained(error: Exception, module: nn.Module) -> CaptureError:
    """One line for a failed export, with the detour where the cause is known."""
    text = str(error) or type(error).__name__
    why = f"could not be exported: {text.strip().splitlines()[0]}"
    for fits, meaning in _CAUSES:
        if fits(f"{type(error).__name__} {text}"):
            why = meaning
            break
    return CaptureError(f"expected a module torch.export can follow; {type(module).__name__} {why}")


def refuse_unknown(node: Node) -> None:
    """Refuses what gates are not written for: shapes from values, numbers taken out, complex."""
    value = node.meta.get("val")
    where = from_export(node).where()
    if node.target in (aten.item.default, aten._local_scalar_dense.default):
        raise CaptureError(
            f"expected tensors from end to end, got .item() in {where}, which stops the gradient "
            "and fixes the number; keep the tensor (a 0-d tensor multiplies like a number)"
        )
    if isinstance(value, Tensor) and value.is_complex():
        raise CaptureError(
            f"expected real numbers, got complex ones from {node.target} in {where}; "
            "compute such features outside and pass them as an input"
        )
    if isinstance(value, Tensor) and any(isinstance(n, torch.SymInt) for n in value.shape):
        raise CaptureError(
            f"expected shapes known in advance, got {node.target} in {where}, whose output's "
            "shape depends on values; use torch.where or a mask that multiplies"
        )


def refuse_writes(specs: Iterable[OutputSpec]) -> None:
    """Refuses a forward that changes its own parameters."""
    for spec in specs:
        if spec.kind == OutputKind.PARAMETER_MUTATION:
            raise CaptureError(
                f"expected parameters that forward leaves alone, got a write to '{spec.target}' "
                "(max_norm of an embedding does that); do it between steps instead"
            )
