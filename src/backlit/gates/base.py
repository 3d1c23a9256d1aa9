"""What a gate is: one forward operation and, beneath it, its backward written in gates.

A rule is ordinary tensor code. Run on numbers it gives numbers; traced it gives more gates, so
the gradient of a gradient needs no second kind of rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from backlit.errors import GateError

aten = torch.ops.aten

# What a rule returns for one input: a gradient, a function that computes it when some wire asks
# (for costly ones), None where no gradient flows, or a list of these for a list input.
Grad = Any


class Gate:
    """One operation of the graph: `forward`, its `backward`, and what a card shows of them.

    A subclass that sets `forward` to an operator (or lists further `overloads`) is registered
    under those operators; a user's own gate registers itself with `backlit.gate`.

    Attributes:
        forward: the operator, called exactly as captured.
        overloads: further operators with the same arguments and the same rule.
        formula: the forward formula as shown on the gate's card, e.g. ``"z = x y"``.
        local: the local gradients as shown, e.g. ``"∂z/∂x = y, ∂z/∂y = x"``.
        broadcasts: inputs are expanded against each other; their gradients are summed back.
        constants: positions of tensor arguments that count as constants (running statistics).
        symmetric: the input is a symmetric matrix, and so is its gradient.
        precision: what the gate tolerates in a bfloat16 step: ``"low"`` runs in bfloat16;
            ``"follow"`` takes its inputs as they come and promotes them as torch does;
            ``"mixed"`` computes in float32 and gives its first output as it got its first
            input; ``"full"`` runs in float32.
        samples: draws inputs for the gate tests, see `backlit.gates.samples`.
    """

    forward: ClassVar[Callable[..., Any]]
    overloads: ClassVar[tuple[Any, ...]] = ()
    formula: ClassVar[str] = ""
    local: ClassVar[str] = ""
    broadcasts: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    constants: ClassVar[tuple[int, ...]] = ()
    symmetric: ClassVar[bool] = False
    precision: ClassVar[str] = "full"
    samples: ClassVar[Callable[..., Iterator[Any]] | None] = None
    # The same computation in elementary gates, where a gate states it.
    expand: ClassVar[Callable[..., Any] | None] = None

    @staticmethod
    def backward(dz: Any, z: Any, *args: Any, **kwargs: Any) -> tuple[Grad, ...]:
        """Gradients of the loss with respect to each positional argument.

        Args:
            dz: gradient with respect to the output `z` (a tuple, None where unused, if several).
            z: the output of `forward`.
            args, kwargs: the arguments of `forward`.
        """
        raise NotImplementedError

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        operators = cls.operators()
        for operator in operators:
            if operator in REGISTRY:
                raise GateError(
                    f"gate {cls.__name__}: expected an operator without a gate, "
                    f"got {operator}, which {REGISTRY[operator].__name__} already serves"
                )
            REGISTRY[operator] = cls

    @classmethod
    def operators(cls) -> tuple[Any, ...]:
        """The operators this gate serves; empty for an abstract family."""
        forward = cls.__dict__.get("forward")
        first = (forward,) if isinstance(forward, torch._ops.OpOverload) else ()
        return first + tuple(cls.__dict__.get("overloads", ()))

    @classmethod
    def aten_names(cls) -> tuple[str, ...]:
        """The operators' qualified names, e.g. ``aten.mul.Tensor``."""
        return tuple(str(operator) for operator in cls.operators())


class Constant(Gate):
    """A gate whose output does not depend smoothly on its inputs: the gradient stops here."""

    local = "no gradient"
    differentiable = False
    precision = "follow"

    @staticmethod
    def backward(dz: Any, z: Any, *args: Any, **kwargs: Any) -> tuple[Grad, ...]:
        return (None,) * len(args)


REGISTRY: dict[Any, type[Gate]] = {}


def gate_of(operator: Any) -> Any:
    """The gate (a class, or for a whole module an object) that serves an operator, or None."""
    return operator if isinstance(operator, Gate) else REGISTRY.get(operator)


def sum_to(grad: Tensor, shape: torch.Size) -> Tensor:
    """Adds up the axes along which an input of `shape` was expanded to `grad`'s shape."""
    if grad.shape == shape:
        return grad
    extra = grad.dim() - len(shape)
    axes = list(range(extra)) + [
        axis + extra for axis, n in enumerate(shape) if n == 1 and grad.shape[axis + extra] != 1
    ]
    if axes:
        grad = grad.sum(axes, keepdim=True)
    return grad.reshape(shape) if extra else grad
