"""Takes needless costs out of tracing, so that capture grows linearly with the gates.

All were met in PyTorch 2.13: for each parameter a table of all parameters is built again to
copy metadata nothing here reads, for each parameter every module's name goes through a regular
expression, for each of torch.ops' namespaces all operators are listed, and for each state of a
graph its Python code is generated. Where PyTorch has renamed the functions, nothing is replaced.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from typing import Any
from unittest.mock import patch

import torch._export.utils
import torch.export._trace
import torch.export.exported_program
import torch.export.unflatten
import torch.fx._lazy_graph_module

from backlit.graph.quick_shapes import quick_shapes


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def _is_call_name(name: str, base: str) -> bool:
    """Whether `name` is `base` or `base@1`, `base@2`, ..."""
    return name == base or (name.startswith(base + "@") and name[len(base) + 1 :].isdigit())


@contextmanager
def quick_export() -> Iterator[None]:
    """While entered, exports are linear in the number of parameters, and quick as a trace."""
    modules: Any = torch.export
    utils: Any = torch._export.utils
    list_operators = getattr(utils, "_materialize_cpp_cia_ops", _nothing)
    with ExitStack() as stack:
        for module, name, stand_in in (
            (modules.exported_program, "_populate_param_buffer_metadata_to_new_gm", _nothing),
            (modules._trace, "_populate_param_buffer_metadata_to_new_gm", _nothing),
            (modules.unflatten, "_is_call_name", _is_call_name),
            (utils, "_materialize_cpp_cia_ops", cache(list_operators)),
        ):
            if hasattr(module, name):
                stack.enter_context(patch.object(module, name, stand_in))
        stack.enter_context(quick_trace())
        yield


@contextmanager
def quick_trace() -> Iterator[None]:
    """While entered, no garbage is collected, and new graphs' code is generated when first run.

    A trace makes many objects that all stay, and walking them is slow.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        with _code_on_demand(), quick_shapes():
            yield
    finally:
        if enabled:
            if not gc.get_freeze_count():
                gc.freeze()  # there and back: all objects count as old, none is walked now
                gc.unfreeze()
            gc.enable()


def _code_on_demand() -> AbstractContextManager[Any]:
    lazily: Any = getattr(torch.fx._lazy_graph_module, "_use_lazy_graph_module", None)
    return nullcontext() if lazily is None else lazily(True)
