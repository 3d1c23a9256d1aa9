"""Takes two quadratic costs out of torch.export, so that capture grows linearly with the gates.

Both were met in PyTorch 2.13: for each parameter a table of all parameters is built again to
copy metadata nothing here reads, and for each parameter every module's name goes through a
regular expression. Where PyTorch has renamed the functions, nothing is replaced.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch.export._trace
import torch.export.exported_program
import torch.export.unflatten


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def _is_call_name(name: str, base: str) -> bool:
    """Whether `name` is `base` or `base@1`, `base@2`, ..."""
    return name == base or (name.startswith(base + "@") and name[len(base) + 1 :].isdigit())


@contextmanager
def quick_export() -> Iterator[None]:
    """While entered, exports are linear in the number of parameters; no garbage collection."""
    modules: Any = torch.export
    with ExitStack() as stack:
        for module, name, stand_in in (
            (modules.exported_program, "_populate_param_buffer_metadata_to_new_gm", _nothing),
            (modules._trace, "_populate_param_buffer_metadata_to_new_gm", _nothing),
            (modules.unflatten, "_is_call_name", _is_call_name),
        ):
            if hasattr(module, name):
                stack.enter_context(patch.object(module, name, stand_in))
        stack.enter_context(without_collection())
        yield


@contextmanager
def without_collection() -> Iterator[None]:
    """No garbage collection: a trace makes many objects that all stay, and walking them is slow."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
