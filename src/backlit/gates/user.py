"""Users' own gates: a class with `forward` and `backward` becomes an operation like any other.

It is captured as one gate, trains in plain PyTorch too, and is differentiated as often as its
`backward` can be; compiled, it falls apart into what its `forward` is made of.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from backlit.errors import GateError
from backlit.gates.base import REGISTRY, Gate, sum_to

NAMESPACE = "backlit_user"

# The gate's function by its class, and by the autograd.Function it stands for in a capture.
FUNCTIONS: dict[type[Gate], Callable[..., Any]] = {}
REPLACED: dict[type, Callable[..., Any]] = {}
_NAMES: list[str] = []


def gate(cls: type[Gate], replaces: type | None = None) -> Callable[..., Any]:
    """Registers a user's gate.

    Args:
        cls: a subclass of `Gate` with static methods ``forward(*args)`` in tensor code and
            ``backward(dz, z, *args)``, which returns a tuple: for each argument of `forward` a
            gradient or None. Arguments are tensors unless annotated (or given a default) as
            float, int, bool or a list; several outputs are annotated ``-> tuple[Tensor, ...]``
            with each one written out.
        replaces: a `torch.autograd.Function` that a capture takes this gate for; its `apply`
            takes the same arguments.
    Returns: the function to call on tensors, in networks and elsewhere.
    Raises: GateError for a class that is not a gate, or a name that another gate has.
    """
    signature = _signature(cls, replaces)
    for other in list(FUNCTIONS):
        if other.__name__ == cls.__name__:
            if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
                raise GateError(
                    f"gate {cls.__name__}: expected a name of its own, got the name of the gate "
                    f"in {other.__module__}; rename one of them"
                )
            forget(other)  # the same definition again, as in a notebook
    if replaces in REPLACED:
        raise GateError(
            f"gate {cls.__name__}: expected an autograd.Function without a gate, "
            f"got {replaces.__name__}, which another gate replaces already"
        )
    operator = _operator(cls, signature)

    def function(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return operator(*bound.args)

    function.__name__, function.__doc__ = cls.__name__, cls.__doc__
    cls.overloads = (operator,)
    REGISTRY[operator] = cls
    FUNCTIONS[cls] = function
    if replaces is not None:
        REPLACED[replaces] = function
    return function


def forget(cls: type[Gate]) -> None:
    """Takes a user's gate out of the registry; graphs captured with it can still be run."""
    function = FUNCTIONS.pop(cls)
    for operator in cls.overloads:
        del REGISTRY[operator]
    for replaced in [key for key, value in REPLACED.items() if value is function]:
        del REPLACED[replaced]


def _signature(cls: Any, replaces: Any) -> inspect.Signature:
    """The signature of `forward`, with what is not annotated filled in."""
    if not (isinstance(cls, type) and issubclass(cls, Gate)):
        raise GateError(f"expected a subclass of backlit.Gate, got {cls!r}")
    for method in ("forward", "backward"):
        if not isinstance(cls.__dict__.get(method), staticmethod):
            raise GateError(f"gate {cls.__name__}: expected a @staticmethod {method}, got none")
    if replaces is not None and not (
        isinstance(replaces, type) and issubclass(replaces, torch.autograd.Function)
    ):
        raise GateError(
            f"gate {cls.__name__}: expected replaces= to be a subclass of "
            f"torch.autograd.Function, got {replaces!r}"
        )
    signature = inspect.signature(cls.forward, eval_str=True)
    parameters = []
    for p in signature.parameters.values():
        if p.kind != p.POSITIONAL_OR_KEYWORD:
            raise GateError(
                f"gate {cls.__name__}: expected plain arguments in forward, got '{p}'; "
                "name each one"
            )
        if p.annotation is p.empty:
            constant = isinstance(p.default, (bool, int, float))
            p = p.replace(annotation=type(p.default) if constant else Tensor)
        parameters.append(p)
    returns = signature.return_annotation
    returns = Tensor if returns is signature.empty else returns
    return signature.replace(parameters=parameters, return_annotation=returns)


def _operator(cls: Any, signature: inspect.Signature) -> Any:
    """A PyTorch operator that runs `forward`, with `backward` for plain autograd."""
    plain = cls.forward

    def run(*args: Any) -> Any:
        # an operator's output may not share memory with its input
        taken = {t.untyped_storage()._cdata for t in tree_flatten(args)[0] if isinstance(t, Tensor)}
        outputs, tree = tree_flatten(plain(*args))
        own = [o.clone() if o.untyped_storage()._cdata in taken else o for o in outputs]
        return tree_unflatten(own, tree)

    def prototype(*args: Any) -> Any:
        """Only its signature is read."""

    # every argument is always given: PyTorch drops those equal to a default, and then miscounts
    # the gradients of an operator with a list of tensors
    bare = [p.replace(default=p.empty) for p in signature.parameters.values()]
    prototype.__signature__ = signature.replace(parameters=bare)  # type: ignore[attr-defined]
    try:
        schema = torch.library.infer_schema(prototype, mutates_args=())
    except ValueError as error:
        raise GateError(
            f"gate {cls.__name__}: expected tensors, numbers, booleans or lists of them as "
            f"arguments of forward: {str(error).splitlines()[0]}"
        ) from None
    # PyTorch keeps an operator's first definition in its caches: a new one gets a new name
    used = sum(name.split("__")[0] == cls.__name__ for name in _NAMES)
    name = f"{cls.__name__}__{used + 1}" if used else cls.__name__
    _NAMES.append(name)
    definition = torch.library.custom_op(
        f"{NAMESPACE}::{name}", run, mutates_args=(), schema=schema
    )
    definition.register_fake(run)
    cls.backward = staticmethod(_checked(cls, signature))

    def remember(ctx: Any, inputs: Any, output: Any) -> None:
        leaves, ctx.tree = tree_flatten((output, tuple(inputs)))
        ctx.constants = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        ctx.is_tensor = [isinstance(leaf, Tensor) for leaf in leaves]
        ctx.save_for_backward(*[leaf for leaf in leaves if isinstance(leaf, Tensor)])

    def backward(ctx: Any, *dz: Any) -> Any:
        saved = iter(ctx.saved_tensors)
        leaves = [
            next(saved) if tensor else constant
            for tensor, constant in zip(ctx.is_tensor, ctx.constants, strict=True)
        ]
        output, inputs = tree_unflatten(leaves, ctx.tree)
        rule = cls.backward(dz if isinstance(output, (tuple, list)) else dz[0], output, *inputs)
        return tuple(_evaluated(cls, g, x) for g, x in zip(rule, inputs, strict=True))

    definition.register_autograd(backward, setup_context=remember)
    return getattr(getattr(torch.ops, NAMESPACE), name).default


def _checked(cls: Any, signature: inspect.Signature) -> Callable[..., tuple[Any, ...]]:
    """`backward` with every argument given, and its gradients counted."""
    plain = cls.backward

    def backward(dz: Any, z: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        rule = plain(dz, z, *bound.args)
        if not isinstance(rule, tuple) or len(rule) != len(bound.args):
            came = f"{len(rule)}" if isinstance(rule, tuple) else f"a {type(rule).__name__}"
            raise GateError(
                f"gate {cls.__name__}: expected a tuple of {len(bound.args)} gradients, one for "
                f"each argument of forward {signature}, its backward gave {came}"
            )
        return rule

    return backward


def _evaluated(cls: Any, grad: Any, x: Any) -> Any:
    """One argument's gradient, for plain autograd: evaluated, of the argument's shape."""
    if isinstance(x, (list, tuple)) and any(isinstance(part, Tensor) for part in x):
        grads = grad or [None] * len(x)
        return [_evaluated(cls, g, part) for g, part in zip(grads, x, strict=True)]
    grad = grad() if callable(grad) and not isinstance(grad, Tensor) else grad
    if not isinstance(x, Tensor) or grad is None:
        return None
    if grad.shape != x.shape:
        if not cls.broadcasts:
            raise GateError(
                f"gate {cls.__name__}: expected a gradient of shape {tuple(x.shape)}, "
                f"its backward gave {tuple(grad.shape)}"
            )
        grad = sum_to(grad, x.shape)
    return grad.to(x.dtype)
