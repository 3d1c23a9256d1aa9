"""The C++ compiler starts on each kernel as soon as its text is written.

PyTorch's compiler starts it when the text of the whole step is there, and one processor core
writes that text while the others wait. Asked for the same kernel again, it takes the one at work.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

_KERNEL = re.compile(
    r"\s*async_compile\.cpp_pybinding\((?P<types>\[.*?\]), r'''(?P<code>.*)'''\)\s*", re.DOTALL
)


@contextmanager
def early_kernels() -> Iterator[None]:
    """While entered, kernels are compiled as they are written; needs PyTorch's names as in 2.13."""
    try:
        from torch._inductor.async_compile import AsyncCompile
        from torch._inductor.codegen.wrapper import PythonWrapperCodegen

        writer: Any = PythonWrapperCodegen
        define, start = writer.define_kernel, AsyncCompile().cpp_pybinding
    except (ImportError, AttributeError):
        yield
        return

    def define_and_start(self: Any, name: str, body: str, *args: Any, **options: Any) -> Any:
        found = _KERNEL.fullmatch(body)
        if found:
            start(ast.literal_eval(found["types"]), found["code"])
        return define(self, name, body, *args, **options)

    with patch.object(writer, "define_kernel", define_and_start):
        yield
