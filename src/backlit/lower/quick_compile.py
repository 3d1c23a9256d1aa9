"""Takes needless costs out of PyTorch's compiler, a fifth of its time; it writes the same code.

Both were met in PyTorch 2.13: the stride of each index, even of an affine one, goes through sympy's
general simplification, and a table of rules that never changes, its class's only object, is filled
anew for each number computed. Where PyTorch has renamed them, nothing is replaced.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import sympy

Stride = Callable[..., sympy.Expr]


@contextmanager
def quick_compile() -> Iterator[None]:
    """While entered, PyTorch's compiler needs less time for the same code."""
    with ExitStack() as stack:
        try:
            from torch._inductor.codegen import cpp

            of_any: Stride = cpp.stride_at_vec_range
            stack.enter_context(patch.object(cpp, "stride_at_vec_range", stride_of(of_any)))
        except (ImportError, AttributeError):
            pass
        try:
            from torch._inductor.dtype_propagation import DtypePropagationOpsHandler

            rules: Any = DtypePropagationOpsHandler
            stack.enter_context(patch.object(rules, "__init__", functools.cache(rules.__init__)))
        except (ImportError, AttributeError):
            pass
        yield


def stride_of(of_any: Stride) -> Stride:
    """By how much an index grows with a variable, quickly where it is affine in it.

    Args:
        of_any: the function of the same arguments for any index.
    """

    @functools.cache
    def stride(index: sympy.Expr, variable: sympy.Symbol, width: int | None = None) -> sympy.Expr:
        total = sympy.S.Zero
        for term in sympy.Add.make_args(index):
            coefficient, rest = term.as_coeff_Mul()
            if rest == variable:
                total += coefficient
            elif variable in rest.free_symbols:
                return of_any(index, variable, width)
        return total

    return stride
