"""The processor's vectors in generated code: taken on trust, narrower ones where they fail.

PyTorch's compiler builds and loads a library for every set of instructions the processor has, in
each process that compiles, before it reads a header. Building the kernels shows the same; of the
sets beyond plain vectors the C++ compiler is asked whether it knows their names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from unittest.mock import patch

from backlit.lower.machine import compiler_takes

T = TypeVar("T")


def widest_vectors(make: Callable[[], T]) -> T:
    """What `make` compiles, with the widest vectors whose kernels can be built and loaded.

    Raises: what `make` raises for another reason, or even without vectors.
    """
    from torch._inductor import config
    from torch._inductor.cpu_vec_isa import VecISA
    from torch._inductor.exc import CppCompileError

    bits = None  # the widest there are
    while True:
        try:
            with (
                config.patch({"cpp.vec_isa_ok": True, "cpp.simdlen": bits}),
                patch.object(VecISA, "check_build", _compiler_knows),
            ):
                return make()
        except Exception as error:
            cause = getattr(error, "inner_exception", error)
            if bits == 0 or not isinstance(cause, (CppCompileError, ImportError)):
                raise
            bits = 256 if bits is None else 0


def _compiler_knows(instructions: Any, code: str) -> bool:
    """Whether the C++ compiler takes the flags of a set of instructions (`code` uses them)."""
    return compiler_takes(*instructions._arch_flags.split(), "-E", "-x", "c++", "/dev/null")
