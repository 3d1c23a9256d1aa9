"""Shapes of batch norms and views, found without running what PyTorch 2.13 takes them from.

Traced, it runs the whole formula of a batch norm on tensors without numbers, and a view of fixed
sizes through the rules for unknown ones: 0.4 s of the 3 in which DCGAN-64 starts from the cache.
Where PyTorch has renamed its tables, nothing is replaced.
"""

# Shapes: x (N, C, ...), the statistics of its channels (C,).
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch._decomp
import torch._subclasses.fake_impls as fake_impls
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from backlit.gates.base import aten

_BATCH_NORMS = (
    aten._native_batch_norm_legit.default,
    aten._native_batch_norm_legit_functional.default,
)
_WIDE = (torch.float32, torch.float64)  # narrower inputs have statistics of another type


@contextmanager
def quick_shapes() -> Iterator[None]:
    """While entered, traced batch norms and views of fixed sizes take little time."""
    rules: Any = getattr(fake_impls, "op_implementations_dict", {})
    formulas: Any = getattr(torch._decomp, "decomposition_table", {})
    without_formula: Any = getattr(torch._decomp, "meta_table", {})
    norms = {norm: _batch_norm(formulas[norm]) for norm in _BATCH_NORMS if norm in formulas}
    views = {view: _view(rules[view]) for view in (aten.view.default,) if view in rules}
    with _with_entries(rules, {**views, **norms}), _with_entries(without_formula, norms):
        yield


@contextmanager
def _with_entries(table: dict[Any, Any], entries: dict[Any, Any]) -> Iterator[None]:
    """A table with other entries, and as it was but for what others have added meanwhile."""
    before = {key: table[key] for key in entries if key in table}
    table.update(entries)
    try:
        yield
    finally:
        for key in entries:
            table.pop(key, None)
        table.update(before)


def _view(general: Callable[..., Any]) -> Callable[..., Any]:
    def view(mode: Any, operator: Any, x: Any, size: Any, **options: Any) -> Any:
        if options or not all(type(n) is int for n in (*x.shape, *size)):
            return general(mode, operator, x, size, **options)
        with fake_impls.no_python_dispatcher(), fake_impls.in_kernel_invocation_manager(mode):
            seen = operator(x, size)
        return FakeTensor(mode, seen, x.device)

    return view


def _batch_norm(formula: Callable[..., Any]) -> Callable[..., Any]:
    def batch_norm(mode: Any, operator: Any, x: Tensor, *others: Any, **named: Any) -> Any:
        plain = not named and len(others) == 7 and _lies_plain(x) and x.dtype in _WIDE
        if not (plain and x.device.type == "cpu" and others[4]):  # others[4]: in training
            with mode:
                return formula(x, *others, **named)
        of_batch = (torch.empty_like(x), x.new_empty(x.shape[1]), x.new_empty(x.shape[1]))
        if operator is _BATCH_NORMS[0]:
            return of_batch
        return (*of_batch, *(torch.empty_like(running) for running in others[2:4]))

    return batch_norm


def _lies_plain(x: Tensor) -> bool:
    last = torch.channels_last
    return x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=last))
