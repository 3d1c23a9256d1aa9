"""The C++ compiler starts while the step's text is still written, on files of several kernels.

PyTorch's compiler starts it when the text of the whole step is there, once for each kernel; one
processor core writes that text while the others wait, and each start reads PyTorch's headers
again, which takes longer than a usual kernel does.
"""

from __future__ import annotations

import ast
import contextvars
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from backlit.lower.cache import library
from backlit.lower.machine import compiler_takes

_KERNEL = re.compile(
    r"\s*async_compile\.cpp_pybinding\((?P<types>\[.*?\]), r'''(?P<code>.*)'''\)\s*", re.DOTALL
)
_INCLUDE = re.compile(r"^\s*#include .*$", re.MULTILINE)

# Characters of a file that is worth a start, which costs as much as some 25,000: of PyTorch's
# headers much is instantiated anew in each, and its libraries are looked through.
_LONG = 25_000

# Kernels name the vectors they want: what -O3 adds to -O2 takes a fifth of the compiling and makes
# no kernel quicker (DCGAN-64, 30 pairs in turns).
_FLAGS = ("-O2",)
# The usual linker takes twice as long to look through PyTorch's libraries.
_LINKER = "-fuse-ld=gold"

_FIRST = """
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C" void kernel(float* x) { at::vec::Vectorized<float>(1).store(x); }
"""

Kernel = Callable[..., None]


@contextmanager
def early_kernels() -> Iterator[None]:
    """While entered, kernels are compiled as they are written; needs PyTorch's names as in 2.13."""
    try:
        from torch._inductor.async_compile import AsyncCompile, get_compile_threads
        from torch._inductor.codecache import CppPythonBindingsCodeCache, LambdaFuture
        from torch._inductor.codegen.wrapper import PythonWrapperCodegen

        writer: Any = PythonWrapperCodegen
        define, alone = writer.define_kernel, AsyncCompile.cpp_pybinding
        files = _Files(CppPythonBindingsCodeCache, AsyncCompile.submit, get_compile_threads())
    except (ImportError, AttributeError):
        yield
        return

    def define_and_start(self: Any, name: str, body: str, *args: Any, **options: Any) -> Any:
        found = _KERNEL.fullmatch(body)
        if found:
            files.add(ast.literal_eval(found["types"]), found["code"])
        return define(self, name, body, *args, **options)

    def take(self: Any, types: list[str], code: str) -> Any:
        kernel = files.get(types, code)
        return alone(self, types, code) if kernel is None else LambdaFuture(kernel)

    files.read_headers()
    with (
        patch.object(writer, "define_kernel", define_and_start),
        patch.object(AsyncCompile, "cpp_pybinding", take),
    ):
        yield


class _Files:
    """Kernels gathered into files, each given to the C++ compiler when it is long enough.

    Args:
        bindings: the compiler's class that builds a kernel's library and binds it to Python.
        start_call: starts a call in another thread and returns its future; where there is one
            thread only, calls and returns None.
        threads: how many such calls may go on at once.
    """

    def __init__(self, bindings: Any, start_call: Callable[..., Any], threads: int):
        self._load = functools.partial(bindings.load_async, extra_flags=_flags())
        self._bindings, self._start_call, self._threads = bindings, start_call, threads
        self._started: list[Any] = []
        self._kernels: dict[tuple[str, ...], Callable[[], Kernel]] = {}
        self._waiting: dict[tuple[str, ...], str] = {}

    def read_headers(self) -> None:
        """Has PyTorch's headers compiled, once for a machine, before the first text is there."""
        build = functools.partial(self._load, self._bound(["float*"], _FIRST), "cpu")
        # In another thread the settings would be PyTorch's own.
        self._submit(functools.partial(contextvars.copy_context().run, build))

    def add(self, types: list[str], code: str) -> None:
        """Takes a kernel's text in; where a processor core is free, the compiler may start.

        One core writes on: with two, one file is compiled at a time, and the next is as long as
        what was written meanwhile.
        """
        key = (*types, code)
        if key not in self._kernels:
            self._waiting.setdefault(key, self._bound(types, code))
        if _length(self._waiting) > _LONG and self._running() < max(1, self._threads - 1):
            self._start(1)

    def get(self, types: list[str], code: str) -> Callable[[], Kernel] | None:
        """What waits for a kernel's library and gives its function; None if it was not added."""
        self._start(min(self._threads, 1 + _length(self._waiting) // _LONG))
        return self._kernels.get((*types, code))

    def _bound(self, types: list[str], code: str) -> str:
        """A kernel's text with what makes it a Python module."""
        given = ", ".join(
            f"parse_arg<{one.replace('const ', '')}>(args, {i})" for i, one in enumerate(types)
        )
        return code + self._bindings.suffix_template.format(
            entry_func=self._bindings.entry_function,
            call_entry_func=self._bindings.call_entry_function.format(given),
            extra_parse_arg="",
            arg_len=len(types),
        )

    def _start(self, files: int) -> None:
        """Gives the kernels that wait to the compiler, as so many files of much the same length."""
        shares: list[dict[tuple[str, ...], str]] = [{} for _ in range(files)]
        for key, text in sorted(self._waiting.items(), key=lambda item: -len(item[1])):
            min(shares, key=_length)[key] = text
        self._waiting = {}
        first = self._bindings.entry_function  # the name PyTorch loads a library by
        for share in filter(None, shares):
            entries = [first, *(f"{first}_{i}" for i in range(1, len(share)))]
            text = one_file(list(share.values()), entries)
            built = self._load(text, "cpu", submit_fn=self._submit)
            for key, entry in zip(share, entries, strict=True):
                self._kernels[key] = functools.partial(_kernel, built, entry)

    def _submit(self, call: Callable[[], Any]) -> Any:
        self._started.append(self._start_call(call))
        return self._started[-1]

    def _running(self) -> int:
        return sum(not started.done() for started in self._started if started is not None)


def _length(texts: Mapping[Any, str]) -> int:
    return sum(map(len, texts.values()))


@functools.cache
def _flags() -> tuple[str, ...]:
    """What the C++ compiler is told besides PyTorch's own flags, which stand before."""
    return (*_FLAGS, _LINKER) if compiler_takes(_LINKER, "-Wl,--version") else _FLAGS


def one_file(texts: list[str], entries: list[str]) -> str:
    """Texts that each make one module `kernel`, as one that makes a module for every entry."""
    includes = dict.fromkeys(line.strip() for text in texts for line in _INCLUDE.findall(text))
    parts = [
        f"#define kernel {entry}\n#define PyInit_kernel PyInit_{entry}\nnamespace in_{entry} {{\n"
        f"{_INCLUDE.sub('', text)}\n}}\n#undef kernel\n#undef PyInit_kernel\n"
        for text, entry in zip(texts, entries, strict=True)
    ]
    return "\n".join(["#define PY_SSIZE_T_CLEAN", *includes, *parts])


def _kernel(built: Callable[[], Any], entry: str) -> Kernel:
    """A kernel's function out of the library of its file, waited for."""
    kernel: Kernel = library(Path(built().__file__), entry).kernel
    return kernel
