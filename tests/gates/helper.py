"""One helper for every gate: Backlit's rule against autograd and against numerical differences."""

from __future__ import annotations

import operator as python_operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from backlit.gates import Gate, aten
from backlit.gates.samples import Sample
from backlit.graph.backprop import is_floating, value_and_grad
from backlit.graph.trace import trace

AUTOGRAD = {torch.float64: 1e-9, torch.float32: 2e-5}
AUTOGRAD_SECOND = {torch.float64: 1e-8, torch.float32: 5e-4}
NUMERICAL = 1e-6
STEP = 1e-5

# What PyTorch says where it has no derivative of its own; numerical differences decide there.
REFUSALS = (
    "is not implemented",
    "not implemented for",
    "has no implementation",
    "does not require grad",
    "expected input to be",
    "non-empty",
    "double backward",
    "does not support",
    "is not supported",
    "returned an invalid gradient",
    "cannot reshape tensor of 0 elements",
    "_unsafe_index found unexpected index type",
    "is not differentiable with respect to argument",
    "Autograd not support dtype",
)
# Whose backward of an empty batch kills the process (SIGFPE in torch 2.13's CPU kernels).
CRASHES_ON_EMPTY = (
    aten._native_batch_norm_legit_no_training.default,
    aten.native_group_norm.default,
)
SEED = 7  # before every run, so that a gate which draws noise draws the same


class Mismatch(AssertionError):
    """Two ways to the same derivative disagree."""


@dataclass
class Checked:
    """What `check_gate` compared: how often, and where PyTorch had nothing to compare with."""

    counts: dict[str, int] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


@dataclass
class OneGate:
    """A graph of one gate whose loss is the sum of its outputs times fixed random cotangents.

    Attributes:
        gm: the graph; its placeholders are the call's tensors, then one cotangent an output.
        tensors: the call's tensors, in order.
        cotangents: one for each floating output, in order of `outputs`.
        outputs: positions of the floating outputs among the flat outputs.
        call: runs the operator alone on a list of tensors; returns its floating outputs.
    """

    gm: GraphModule
    tensors: list[Tensor]
    cotangents: list[Tensor]
    outputs: list[int]
    call: Callable[[Sequence[Tensor]], list[Tensor]]

    @property
    def values(self) -> list[Tensor]:
        return self.tensors + self.cotangents

    @property
    def floating(self) -> list[int]:
        """Positions among `tensors` of what is differentiated."""
        return [i for i, t in enumerate(self.tensors) if is_floating(t)]


def one_gate(operator: Any, sample: Sample) -> OneGate:
    """Wires one operator to its loss by hand: tracing could decompose it."""
    leaves, tree = tree_flatten((sample.args, sample.kwargs))
    where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]

    def raw(tensors: Sequence[Any]) -> tuple[Any, Any]:
        filled = list(leaves)
        for position, tensor in zip(where, tensors, strict=True):
            filled[position] = tensor
        return tree_unflatten(filled, tree)

    def call(tensors: Sequence[Tensor]) -> list[Tensor]:
        args, kwargs = raw(tensors)
        torch.default_generator.manual_seed(SEED)
        result = operator(*args, **kwargs)
        flat = list(result) if isinstance(result, (tuple, list)) else [result]
        return [flat[i] for i in outputs]

    tensors = [leaves[i].detach() for i in where]
    result = operator(*sample.args, **sample.kwargs)
    many = isinstance(result, (tuple, list))
    flat = list(result) if many else [result]
    outputs = [i for i, out in enumerate(flat) if is_floating(out)]
    cotangents = [random_like(flat[i], 100 + i) for i in outputs]

    graph = Graph()
    wires = [graph.placeholder(f"x{i}") for i in range(len(tensors))]
    weights = [graph.placeholder(f"c{i}") for i in outputs]
    args, kwargs = raw(wires)
    z = graph.call_function(operator, args, kwargs)
    loss = None
    for position, weight in zip(outputs, weights, strict=True):
        out = graph.call_function(python_operator.getitem, (z, position)) if many else z
        term = graph.call_function(aten.mul.Tensor, (out, weight))
        term = graph.call_function(aten.sum.default, (term,))
        loss = term if loss is None else graph.call_function(aten.add.Tensor, (loss, term))
    graph.output((loss,))
    gm = GraphModule(torch.nn.Module(), graph)
    return OneGate(gm, tensors, cotangents, outputs, call)


def random_like(t: Tensor, seed: int) -> Tensor:
    """Fixed random numbers of t's shape and dtype."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t.dtype)


def check_gate(
    gate: type[Gate],
    operator: Any,
    sample: Sample,
    dtype: torch.dtype,
    checked: Checked,
    second_order_too: bool = True,
) -> None:
    """Compares first and second order of a gate's rule with autograd and numerical differences.

    Args:
        gate: for the message only; the rule is found by the operator.
        operator: the operator to try, one of the gate's.
        sample: a call of it, drawn in `dtype`.
        dtype: float64 compares numerically too; float32 with its own tolerances; bfloat16 runs
            forward and backward and compares dtypes.
        checked: counts and reasons are added here.
        second_order_too: trace and differentiate the gradient as well (most of the time).
    Raises: Mismatch naming gate, operator, sample and what differs.
    """
    g = whole = one_gate(operator, sample)
    label = f"{gate.__name__} {operator} {describe(sample)} {str(dtype)[6:]}"
    if not g.outputs or not g.floating:
        return
    if dtype == torch.bfloat16:
        _check_dtypes(g, label)
        checked.count("bfloat16")
        return
    wanted = differentiable_inputs(g)
    theirs = torch_derivatives(g, wanted, checked, operator)
    numerically = dtype == torch.float64 and sample.smooth
    counted = [False] * len(g.outputs)
    own_second = None
    if theirs is not None:
        first, second, counted = theirs
        g = _with_outputs(g, counted)
        compare(first_order(g, wanted), first, AUTOGRAD[dtype], f"{label}: first order")
        checked.count("first order, autograd")
        if second_order_too:
            own_second = second_order(g, wanted)
        if second_order_too and second is not None:
            compare(
                [*own_second[: len(wanted)], *_where(own_second[len(wanted) :], counted)],
                second,
                AUTOGRAD_SECOND[dtype],
                f"{label}: second order",
                kink=not sample.smooth,
            )
            checked.count("second order, autograd")
    if numerically:
        # Outputs that PyTorch does not differentiate (saved statistics) count where Backlit does.
        both = [
            known or any(grad is not None for grad in first_order(_only(whole, i), wanted))
            for i, known in enumerate(counted)
        ]
        if both != counted:
            g, own_second = _with_outputs(whole, both), None
        own = first_order(g, wanted)
        _first_numerically(g, wanted, own, label)
        checked.count("first order, numerical")
        if second_order_too:
            _second_numerically(g, wanted, own, own_second or second_order(g, wanted), label)
            checked.count("second order, numerical")


def differentiable_inputs(g: OneGate) -> list[int]:
    """The floating inputs, less those PyTorch declares constant (running statistics)."""
    found = []
    for i, tensor in enumerate(g.tensors):
        if is_floating(tensor):
            alone = [t.detach() for t in g.tensors]
            alone[i].requires_grad_()
            try:
                g.call(alone)
            except (RuntimeError, NotImplementedError) as error:
                if "not differentiable with respect to" in str(error):
                    continue
            found.append(i)
    return found


def gradients(gm: GraphModule, values: Sequence[Tensor], wanted: Sequence[int]) -> list[Any]:
    """Backlit's gradients of a graph's only output."""
    torch.default_generator.manual_seed(SEED)
    return value_and_grad(gm, values, wanted)[1]


def first_order(g: OneGate, wanted: Sequence[int]) -> list[Tensor | None]:
    """Backlit's gradients of the loss."""
    return gradients(g.gm, g.values, wanted)


def _dot(grads: Sequence[Tensor | None], vectors: Sequence[Tensor]) -> Any:
    total: Any = 0.0
    for grad, vector in zip(grads, vectors, strict=True):
        if grad is not None:
            total = total + (grad * vector).sum()
    return total


def _vectors(g: OneGate, wanted: Sequence[int]) -> list[Tensor]:
    return [random_like(g.tensors[i], 200 + i) for i in wanted]


def second_order(g: OneGate, wanted: Sequence[int]) -> list[Tensor | None]:
    """Backlit's gradients of (gradients · fixed vectors), through the traced gradient graph."""
    vectors = _vectors(g, wanted)
    asked = [*wanted, *range(len(g.tensors), len(g.values))]

    def dot(*values: Tensor) -> Any:
        flat, along = values[: len(g.values)], values[len(g.values) :]
        return _dot(gradients(g.gm, flat, wanted), along)

    if all(grad is None for grad in first_order(g, wanted)):
        return [None] * len(asked)
    inputs = g.values + vectors
    gradient, _ = trace(dot, inputs)
    return gradients(gradient, inputs, asked)


def torch_derivatives(
    g: OneGate, wanted: Sequence[int], checked: Checked, operator: Any
) -> tuple[list[Tensor | None], list[Tensor | None] | None, list[bool]] | None:
    """PyTorch's first and second order, and which outputs it differentiates; None if it cannot."""
    tensors = [t.detach() for t in g.tensors]
    asked = [tensors[i].requires_grad_() for i in wanted]
    cotangents = [c.clone().requires_grad_() for c in g.cotangents]
    try:
        if operator in CRASHES_ON_EMPTY and tensors[0].numel() == 0:
            raise NotImplementedError("backward of an empty batch is not implemented: it crashes")
        outputs = g.call(tensors)
        differentiable = [out.requires_grad for out in outputs]
        terms = [
            (out * c).sum() for out, c in zip(outputs, cotangents, strict=True) if out.requires_grad
        ]
        if not terms:
            raise NotImplementedError("element 0 of tensors does not require grad")
        first = torch.autograd.grad(sum(terms), asked, create_graph=True, allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:
        _refused(error, checked, f"{operator}: no first order in PyTorch")
        return None
    plain = [None if grad is None else grad.detach() for grad in first]
    dot = _dot(first, _vectors(g, wanted))
    used = [c for c, d in zip(cotangents, differentiable, strict=True) if d]
    if not isinstance(dot, Tensor) or not dot.requires_grad:
        return plain, [None] * (len(asked) + len(cotangents)), differentiable
    try:
        second = list(torch.autograd.grad(dot, asked + used, allow_unused=True))
    except (RuntimeError, NotImplementedError) as error:
        _refused(error, checked, f"{operator}: no second order in PyTorch")
        return plain, None, differentiable
    over_cotangents = iter(second[len(asked) :])
    return (
        plain,
        second[: len(asked)] + [next(over_cotangents) if d else None for d in differentiable],
        differentiable,
    )


def _refused(error: Exception, checked: Checked, what: str) -> None:
    text = str(error).splitlines()[0]
    if not any(known in text for known in REFUSALS):
        raise error
    checked.reasons.append(f"{what}: {text[:110]}")
    checked.count("PyTorch refused, numerical only")


def _where(values: Sequence[Any], keep: Sequence[bool]) -> list[Any]:
    return [value if yes else None for value, yes in zip(values, keep, strict=True)]


def _with_outputs(g: OneGate, keep: Sequence[bool]) -> OneGate:
    """The same loss with the other outputs' cotangents at 0."""
    cotangents = [c if yes else c * 0 for c, yes in zip(g.cotangents, keep, strict=True)]
    return OneGate(g.gm, g.tensors, cotangents, g.outputs, g.call)


def _only(g: OneGate, output: int) -> OneGate:
    """The same call with a loss that sees one output alone."""
    gm = GraphModule(torch.nn.Module(), Graph())
    copies: dict[Any, Any] = {}
    term_of = [n for n in g.gm.graph.nodes if n.target == aten.sum.default][-len(g.outputs) :]
    for node in g.gm.graph.nodes:
        if node.op != "output":
            copies[node] = gm.graph.node_copy(node, copies.__getitem__)
    gm.graph.output((copies[term_of[output]],))
    return OneGate(gm, g.tensors, g.cotangents, g.outputs, g.call)


def _loss(g: OneGate, tensors: Sequence[Tensor]) -> Tensor:
    return sum(
        ((out * c).sum() for out, c in zip(g.call(tensors), g.cotangents, strict=True)),
        torch.zeros((), dtype=torch.float64),
    )


def _moved(values: Sequence[Tensor], positions: Sequence[int], way: Sequence[Tensor], step: float):
    moved = list(values)
    for position, direction in zip(positions, way, strict=True):
        moved[position] = moved[position] + step * direction
    return moved


def _slope(f: Callable[[Sequence[Tensor]], Any], values, positions, way) -> Any:
    """Central difference of f along a direction, of the fourth order in the step."""
    near = f(_moved(values, positions, way, STEP)) - f(_moved(values, positions, way, -STEP))
    far = f(_moved(values, positions, way, 2 * STEP)) - f(_moved(values, positions, way, -2 * STEP))
    return (8 * near - far) / (12 * STEP)


def _first_numerically(g: OneGate, wanted: Sequence[int], first: list[Any], label: str) -> None:
    """Slopes along random directions, one input at a time, for every gradient there is."""
    for position, grad in zip(wanted, first, strict=True):
        if grad is not None:
            way = random_like(g.tensors[position], 300)
            slope = _slope(lambda t: _loss(g, t), g.tensors, [position], [way])
            what = f"{label}: first order, input {position}, numerical differences"
            compare([(grad * way).sum()], [slope], NUMERICAL, what)


def _second_numerically(
    g: OneGate, wanted: Sequence[int], first: list[Any], second: list[Any], label: str
) -> None:
    """The same for (gradients · fixed vectors)."""
    vectors = _vectors(g, wanted)

    def dot(values: Sequence[Tensor]) -> Any:
        return torch.as_tensor(_dot(gradients(g.gm, values, wanted), vectors))

    asked = [*wanted, *range(len(g.tensors), len(g.values))]
    constant = {p for p, grad in zip(wanted, first, strict=True) if grad is None}
    for position, grad in zip(asked, second, strict=True):
        if position not in constant:
            way = random_like(g.values[position], 400)
            slope = _slope(dot, g.values, [position], [way])
            mine = torch.zeros(()) if grad is None else (grad * way).sum()
            what = f"{label}: second order, input {position}, numerical differences"
            compare([mine], [slope], NUMERICAL, what)


def _check_dtypes(g: OneGate, label: str) -> None:
    """Runs forward and backward; every gradient must come in its input's dtype."""
    for position, grad in zip(g.floating, first_order(g, g.floating), strict=True):
        if grad is not None and grad.dtype != g.tensors[position].dtype:
            raise Mismatch(f"{label}: gradient of input {position} has dtype {grad.dtype}")


def compare(
    mine: Sequence[Any],
    theirs: Sequence[Any],
    tolerance: float,
    label: str,
    kink: bool = False,
) -> None:
    """Largest difference relative to the largest value, or to 1 where values are smaller.

    Args:
        kink: the derivative does not exist there, so a NaN of PyTorch's may be any number.
    """
    for position, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        if a is None and b is None:
            continue
        a = torch.zeros_like(b) if a is None else a.detach()
        b = torch.zeros_like(a) if b is None else b.detach()
        if a.shape != b.shape:
            raise Mismatch(f"{label}, input {position}: shape {a.shape}, expected {b.shape}")
        if kink:
            b = torch.where(b.isnan(), a, b)
        if not torch.equal(a.isnan(), b.isnan()):
            raise Mismatch(f"{label}, input {position}: NaN in {a}, expected {b}")
        if a.numel() == 0:
            continue
        scale = max(1.0, b.nan_to_num(0, 0, 0).abs().max().item())
        equal = a == b  # infinities of the same sign
        gap = (a - b).masked_fill(equal, 0).nan_to_num(0.0).abs().max().item() / scale
        if not gap <= tolerance:
            raise Mismatch(f"{label}, input {position}: off by {gap:.2g}\n{a}\nexpected\n{b}")


def describe(sample: Sample) -> str:
    """The call with shapes for tensors."""

    def short(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        layout = "" if leaf.is_contiguous() else "s"
        return f"{str(leaf.dtype)[6:]}{list(leaf.shape)}{layout}"

    args = ", ".join(str(tree_map(short, arg)).replace("'", "") for arg in sample.args)
    kwargs = ", ".join(f"{k}={tree_map(short, v)}" for k, v in sample.kwargs.items())
    return f"({args}{', ' if kwargs else ''}{kwargs})"


def fitted(operator: Any, sample: Sample) -> Sample | None:
    """The sample as a call of another overload: a 0-d tensor as a number, [2] as 2; else None."""
    schema = operator._schema.arguments
    positional = [a for a in schema if not a.kwarg_only]
    args = []
    for value, wanted in zip(sample.args, positional, strict=False):
        kind = str(wanted.type)
        if kind in ("number", "float") and isinstance(value, Tensor):
            if value.dim():
                return None
            value = value.item()
        elif kind == "int" and isinstance(value, list):
            if len(value) != 1:
                return None
            (value,) = value
        elif kind == "Tensor" and isinstance(value, float):
            value = torch.tensor(value, dtype=torch.float64)
        args.append(value)
    for missing in positional[len(args) :]:
        if not missing.has_default_value():
            if not isinstance(missing.type, torch.OptionalType):
                return None
            args.append(None)
    names = {a.name for a in schema}
    kwargs = {k: v for k, v in sample.kwargs.items() if k in names}
    try:
        operator(*args, **kwargs)
    except (RuntimeError, TypeError):
        return None
    return Sample(tuple(args), kwargs, sample.smooth)
