"""What a lowering is: one way, in torch operations, to compute a costly gate.

Convolutions come in three kinds, which serve plain and transposed layers alike, forward and
backward: the picture side is called *big*, the other side *small*.
"""

# Shapes: big (N, C, H, W), small (N, K, h, w), w (K, C, kh, kw).
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node, Proxy

from backlit.gates.base import aten
from backlit.lower.layout import WIDE
from backlit.lower.lowerings.columns import add_to_channels

KINDS = ("correlate", "spread", "weight gradient", "mm", "addmm", "bmm", "linear")
DEFAULT = "aten"  # the gate as it stands


@dataclass(frozen=True)
class Call:
    """A costly gate in normal form, on tensors, or on the wires that will carry them.

    Attributes:
        kind: one of `KINDS`; "correlate" gives small from (big, w), "spread" gives big from
            (small, w), "weight gradient" gives w from (big, small).
        operator, args: the gate as it stands in the graph.
        operands: the tensors that count, in the order of `kind`.
        output: which of the gate's outputs is meant; None for a gate with one.
        bias: for a convolution, what is added to each channel, or None.
        size: for a convolution, the spatial size of what is computed.
        stride, padding, dilation, groups: of the convolution that takes big to small.
    """

    kind: str
    operator: Any
    args: tuple[Any, ...]
    operands: tuple[Any, ...]
    output: int | None = None
    bias: Any = None
    size: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The operands' shapes."""
        return tuple(tuple(value_of(operand).shape) for operand in self.operands)

    @property
    def simple(self) -> bool:
        """No dilation, no groups, two spatial axes: what the matrix forms serve."""
        plain = self.groups == 1 and len(self.size) == 2 and all(d == 1 for d in self.dilation)
        return plain and min(self.shapes[0]) > 0


@dataclass(frozen=True)
class Lowering:
    """One way to compute a kind of gate, in PyTorch operations only.

    Attributes:
        name: unique within its kind.
        run: from a `Call` to what the gate (its output that is meant) gives.
        accepts: whether it serves a `Call`.
        promises: whether it may be the fastest on this machine, so that measuring it is worth it.
        timed: what is run to measure it, where `run` is not: of a graph's own operations a compiler
            makes a loop, for which a copy of as much memory stands.
    """

    kind: str
    name: str
    run: Callable[[Call], Any]
    accepts: Callable[[Call], bool]
    promises: Callable[[Call], bool] = lambda call: True
    timed: Callable[[Call], Any] | None = None


def default(call: Call) -> Any:
    """The gate as it stands."""
    out = call.operator(*call.args)
    return out if call.output is None else out[call.output]


LOWERINGS: dict[str, dict[str, Lowering]] = {
    kind: {DEFAULT: Lowering(kind, DEFAULT, default, lambda call: True)} for kind in KINDS
}
MATRIX_FORMS: set[Any] = set()  # operators of a picture and, second, a weight
LIBRARY = torch.library.Library("backlit_lower", "DEF")
_SCHEMA = "(Tensor a, Tensor b, Tensor? bias, int[] stride, int[] padding, int[] size) -> Tensor"


def lowering(
    kind: str,
    name: str,
    accepts: Callable[[Call], bool] = lambda call: True,
    promises: Callable[[Call], bool] = lambda call: True,
    timed: Callable[[Call], Any] | None = None,
) -> Any:
    """Registers a function of a `Call`, written in a graph's own operations."""

    def register(run: Callable[[Call], Any]) -> Callable[[Call], Any]:
        LOWERINGS[kind][name] = Lowering(kind, name, run, accepts, promises, timed)
        return run

    return register


def operator(
    name: str, compute: Callable[..., Tensor], like: Callable[..., Tensor], *, weight: bool
) -> Any:
    """Makes tensor code one operator of the library ``backlit_lower``: no compiler looks inside.

    Args:
        compute: ``(a, b, stride, padding, size)`` -> a new tensor; a bias is added to its channels.
        like: the same arguments -> an empty tensor of the shape and layout of that.
        weight: whether b is a weight, of which a step keeps one copy for all its readers.
    Returns: the operator ``(a, b, bias, stride, padding, size)``.
    """

    def biased(a: Tensor, b: Tensor, bias: Tensor | None, *settings: list[int]) -> Tensor:
        y = compute(a, b, *settings)
        return y if bias is None else add_to_channels(y, bias)

    LIBRARY.define(name + _SCHEMA)
    LIBRARY.impl(name, biased, "CompositeExplicitAutograd")
    torch.library.register_fake(
        f"backlit_lower::{name}",
        lambda a, b, bias, *settings: like(a, b, *settings),
        lib=LIBRARY,
    )
    made = getattr(torch.ops.backlit_lower, name).default
    if weight:
        MATRIX_FORMS.add(made)
    return made


def settings(call: Call) -> tuple[list[int], list[int], list[int]]:
    """What operators are told of a convolution: stride, padding, size."""
    return list(call.stride), list(call.padding), list(call.size)


def with_bias(y: Any, bias: Any) -> Any:
    """A convolution's result with its bias, or without one."""
    if bias is None:
        return y
    return aten.add.Tensor(y, aten.reshape.default(bias, [1, -1, 1, 1]))


def opaque(
    kind: str, name: str, like: Callable[..., Tensor], accepts: Callable[[Call], bool]
) -> Any:
    """Registers a convolution's lowering ``(a, b, stride, padding, size)``, its bias left out.

    It becomes one `operator`: out of its copies a compiler would make slow scalar loops. So it
    would of a bias of few channels and all that follows; it is added inside, a wide one outside,
    where it costs no pass of its own.

    Args:
        like: ``(a, b, size)`` -> an empty tensor of the shape and layout of its result, channels
            last where biases are served.
    """

    def register(compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
        found = operator(
            f"{kind}_{name}".replace(" ", "_").replace("-", "_"),
            compute,
            lambda a, b, stride, padding, size: like(a, b, size),
            weight=kind != "weight gradient",
        )

        def run(call: Call) -> Any:
            inside, outside = None, call.bias
            if call.bias is not None and value_of(call.bias).numel() < WIDE:
                inside, outside = call.bias, None
            return with_bias(found(*call.operands, inside, *settings(call)), outside)

        LOWERINGS[kind][name] = Lowering(kind, name, run, accepts)
        return compute

    return register


def call_of(operator: Any, args: Sequence[Any], kwargs: Any, out: Any) -> Call | None:
    """A gate in normal form, or None where no lowering could serve it.

    Args:
        args, kwargs: its arguments; tensors, or wires that know their value (``meta["val"]``).
        out: what it gives (only the shape matters).
    """
    args = tuple(args)
    if kwargs:
        return None
    if operator in _PRODUCTS:
        return Call(_PRODUCTS[operator], operator, args, args)
    if operator is aten.convolution.default:
        x, w, bias, *settings = args
        kind = "spread" if settings[3] else "correlate"
        return _convolution(kind, operator, args, (x, w), out.shape[2:], settings, bias=bias)
    if operator is aten.convolution_backward.default:
        dz, x, w, _, *settings, mask = args
        transposed = settings[3]
        if list(mask) == [True, False, False]:
            kind = "correlate" if transposed else "spread"
            size = value_of(x).shape[2:]
            return _convolution(kind, operator, args, (dz, w), size, settings, output=0)
        if list(mask) == [False, True, False]:
            pair = (dz, x) if transposed else (x, dz)
            size = value_of(w).shape[2:]
            return _convolution("weight gradient", operator, args, pair, size, settings, output=1)
    return None


def _convolution(
    kind: str,
    operator: Any,
    args: tuple[Any, ...],
    operands: tuple[Any, ...],
    size: Sequence[int],
    settings: Sequence[Any],
    output: int | None = None,
    bias: Any = None,
) -> Call:
    axes = len(size)
    stride, padding, dilation = (
        tuple(s) * (axes if len(s) == 1 else 1) for s in settings[:3]
    )  # one number may stand for all axes
    return Call(
        kind,
        operator,
        args,
        operands,
        output,
        bias,
        tuple(size),
        stride,
        padding,
        dilation,
        settings[5],
    )


def value_of(operand: Any) -> Any:
    """A wire's value, perhaps without its numbers; a tensor is its own."""
    node = operand.node if isinstance(operand, Proxy) else operand
    return node.meta["val"] if isinstance(node, Node) else node


_PRODUCTS = {
    aten.mm.default: "mm",
    aten.addmm.default: "addmm",
    aten.bmm.default: "bmm",
    aten.linear.default: "linear",
}
