"""PyTorch's own sample inputs for every operation: Backlit's gradients against autograd.

Run with ``pytest -m opinfo``; it prints its counts and every reason for a skip.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter, defaultdict
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.utils._pytree import tree_flatten, tree_unflatten

from backlit.errors import GateError
from backlit.graph.backprop import value_and_grad
from backlit.graph.trace import trace
from tests.gates.helper import Mismatch, compare, random_like
from tests.tally import count

FIRST, SECOND = 8, 2  # samples an operation, in PyTorch's own order
TOLERANCE, TOLERANCE_SECOND = 1e-9, 1e-7
LOOSE = {"nn.functional.hardsigmoid": 1e-7}  # PyTorch's backward multiplies by float32's 1/6
SEED = 7


class Skip(Exception):
    """A sample that is not compared, and why."""


def operations() -> list[Any]:
    """PyTorch's table, which warns of its own deprecations when it is imported."""
    pytest.importorskip("expecttest", reason="PyTorch's sample inputs need expecttest")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return op_db


def loss_of(op: Any, sample: Any) -> tuple[Any, list[Tensor], list[int]]:
    """The sum of an operation's outputs times fixed random numbers, as a function of tensors.

    Returns: the function, its inputs, and which of them are differentiated.
    """
    leaves, tree = tree_flatten((sample.input, sample.args, sample.kwargs))
    where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    tensors = [leaves[i].detach() for i in where]
    asked = [leaves[i].requires_grad for i in where]
    if any(t.is_complex() or t.layout != torch.strided for t in tensors):
        raise Skip("complex or sparse inputs")

    def outputs(values: Any) -> list[Tensor]:
        filled = list(leaves)
        for i, value in zip(where, values, strict=True):
            filled[i] = value
        x, args, kwargs = tree_unflatten(filled, tree)
        result = sample.output_process_fn_grad(op.gradcheck_wrapper(op.op, x, *args, **kwargs))
        return [out for out in tree_flatten(result)[0] if isinstance(out, Tensor)]

    torch.manual_seed(SEED)
    pairs = zip(tensors, asked, strict=True)
    found = outputs([t.clone().requires_grad_(yes) for t, yes in pairs])
    if any(out.is_complex() for out in found):
        raise Skip("complex outputs")
    counted = [i for i, out in enumerate(found) if out.requires_grad]
    if not counted:
        raise Skip("no output that PyTorch differentiates")
    if any(out.layout != torch.strided for out in found):
        raise Skip("sparse outputs")
    cotangents = [random_like(found[i], 100 + i) for i in counted]

    def loss(*values: Tensor) -> Tensor:
        made = outputs(values[: len(tensors)])
        total: Any = 0.0
        for i, c in zip(counted, values[len(tensors) :], strict=True):
            total = total + (made[i] * c).sum()
        return total

    values = [*tensors, *cotangents]
    return loss, values, [i for i in range(len(values)) if i >= len(tensors) or asked[i]]


def check(op: Any, sample: Any, second: bool) -> None:
    """Compares one sample; raises Skip with a reason, or Mismatch."""
    try:
        loss, values, wanted = loss_of(op, sample)
    except (RuntimeError, NotImplementedError) as error:
        raise Skip(f"PyTorch itself: {first_line(error)}") from None
    try:
        graph, _ = trace(loss, values)
    except Exception as error:
        raise Skip(f"not traceable: {kind_of(error)}") from None
    torch.manual_seed(SEED)
    outputs, mine = value_and_grad(graph, values, wanted)

    leaves = [v.clone().requires_grad_(i in wanted) for i, v in enumerate(values)]
    asked = [leaves[i] for i in wanted]
    torch.manual_seed(SEED)
    expected = loss(*leaves)
    if not torch.allclose(outputs[0], expected.detach(), rtol=1e-9, atol=1e-9, equal_nan=True):
        if any(torch.Tag.nondeterministic_seeded in n.target.tags for n in operators(graph)):
            raise Skip("draws noise, in another order when traced")
        raise Mismatch(f"{op.name}: value {outputs[0]}, expected {expected}")
    try:
        theirs = torch.autograd.grad(expected, asked, create_graph=second, allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:
        raise Skip(f"PyTorch itself: {first_line(error)}") from None
    tolerance = LOOSE.get(op.name, TOLERANCE)
    compare(mine, [None if t is None else t.detach() for t in theirs], tolerance, op.name)
    if second:
        check_second(op, graph, values, wanted, asked, theirs)


def check_second(op: Any, graph: Any, values: Any, wanted: Any, asked: Any, theirs: Any) -> None:
    """Second order: gradients of (gradients · fixed vectors)."""
    vectors = [random_like(values[i], 200 + i) for i in wanted]

    def dot(grads: Any, along: Any) -> Any:
        terms = [(g * v).sum() for g, v in zip(grads, along, strict=True) if g is not None]
        return sum(terms, torch.zeros((), dtype=torch.float64))

    def own(*flat: Tensor) -> Any:
        grads = value_and_grad(graph, flat[: len(values)], wanted)[1]
        return sum(
            (g * v).sum() for g, v in zip(grads, flat[len(values) :], strict=True) if g is not None
        )

    try:
        gradient, _ = trace(own, [*values, *vectors])
    except GuardOnDataDependentSymNode:
        raise Skip("second order: shapes depend on values") from None
    torch.manual_seed(SEED)
    mine = value_and_grad(gradient, [*values, *vectors], wanted)[1]
    total = dot(theirs, vectors)
    expected: Any = [None] * len(asked)
    if total.requires_grad:
        try:
            expected = torch.autograd.grad(total, asked, allow_unused=True)
        except (RuntimeError, NotImplementedError) as error:
            raise Skip(f"second order, PyTorch itself: {first_line(error)}") from None
    # PyTorch says NaN where a second derivative does not exist (a norm at 0)
    compare(mine, expected, TOLERANCE_SECOND, f"{op.name}: second order", kink=True)


def operators(graph: Any) -> list[Any]:
    return [n for n in graph.graph.nodes if n.op == "call_function" and hasattr(n.target, "tags")]


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:90]


def kind_of(error: Exception) -> str:
    name = type(error).__name__
    return (
        "shapes depend on values"
        if "Dynamic" in name or "DataDep" in name
        else (f"{name}: {first_line(error)[:60]}")
    )


@pytest.mark.opinfo
@pytest.mark.filterwarnings("ignore")
def test_opinfo():
    began = time.perf_counter()
    right: Counter[str] = Counter()
    wrong: list[str] = []
    missing: defaultdict[str, set[str]] = defaultdict(set)
    skipped: defaultdict[str, list[str]] = defaultdict(list)
    covered, partly = set(), set()
    for op in operations():
        name = op.full_name if hasattr(op, "full_name") else op.name
        if not op.supports_autograd or not op.supports_dtype(torch.float64, "cpu"):
            skipped["operation without gradient or float64"].append(name)
            continue
        try:
            samples = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))[:FIRST]
        except Exception as error:
            skipped[f"no samples: {kind_of(error)}"].append(name)
            continue
        for i, sample in enumerate(samples):
            second = i < SECOND and op.supports_gradgrad
            try:
                check(op, sample, second)
                right["first order"] += 1
                right["second order"] += second
                covered.add(name)
            except Skip as reason:
                skipped[str(reason)].append(name)
            except GateError as error:
                partly.add(name)
                if "expected an operation with a gate" not in str(error):
                    wrong.append(f"{name} sample {i}: {error}")
                    continue
                missing[str(error).split("got ")[1].split(" in ")[0]].add(name)
            except (
                Mismatch,
                RuntimeError,
                TypeError,
                IndexError,
                ValueError,
                AssertionError,
            ) as error:
                wrong.append(f"{name} sample {i}: {type(error).__name__} {str(error)[:600]}")

    def say(line: str) -> None:
        count("PyTorch's own sample inputs", line, 0)

    say(f"the first {FIRST} of each operation ({SECOND} at second order), float64")
    say(f"{len(covered)} operations covered, {len(partly - covered)} not yet")
    say(f"right: {dict(right)}; wrong: {len(wrong)}; {time.perf_counter() - began:.0f} s")
    for reason, names in sorted(skipped.items(), key=lambda item: -len(item[1])):
        several = sorted(set(names))
        shown = ", ".join(several[:6]) + (", …" if len(several) > 6 else "")
        say(f"skipped {len(names):4d}: {reason} ({shown})")
    for operator, names in sorted(missing.items(), key=lambda item: -len(item[1])):
        say(f"no gate for {operator}: {', '.join(sorted(names)[:5])}")
    for line in wrong:
        say(f"WRONG {line}")
    assert not wrong
