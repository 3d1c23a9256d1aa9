"""The processor's vectors in generated code: taken on trust, narrower ones where they fail.

PyTorch's compiler builds and loads a library for every set of instructions the processor has, in
each process that compiles, before it writes the first kernel. Building the kernels shows the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def widest_vectors(make: Callable[[], T]) -> T:
    """What `make` compiles, with the widest vectors whose kernels can be built and loaded.

    Raises: what `make` raises for another reason, or even without vectors.
    """
    from torch._inductor import config
    from torch._inductor.exc import CppCompileError

    bits = None  # the widest there are
    while True:
        try:
            with config.patch({"cpp.vec_isa_ok": True, "cpp.simdlen": bits}):
                return make()
        except Exception as error:
            cause = getattr(error, "inner_exception", error)
            if bits == 0 or not isinstance(cause, (CppCompileError, ImportError)):
                raise
            bits = 256 if bits is None else 0
