"""Compiling a flat graph with PyTorch's inductor, directly: no guards, no tracing of Python."""

from __future__ import annotations

import copy
import functools
import os
import shutil
import subprocess
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from backlit.devices import on_cpu
from backlit.gates.base import aten
from backlit.graph.backprop import output_wires, placeholders
from backlit.graph.trace import real_like
from backlit.lower import cache
from backlit.lower.early_kernels import early_kernels
from backlit.lower.hold_gradients import hold_gradients
from backlit.lower.hold_planes import hold_planes
from backlit.lower.hold_products import hold_products
from backlit.lower.hold_scalars import hold_scalars
from backlit.lower.hold_vectors import hold_vectors
from backlit.lower.hold_weights import hold_weights
from backlit.lower.layout import channels_last, convolves
from backlit.lower.loops_apart import loops_apart
from backlit.lower.narrow_parts import narrow_parts
from backlit.lower.one_trace import one_trace
from backlit.lower.passes.common import value
from backlit.lower.quick_compile import quick_compile
from backlit.lower.roll import roll
from backlit.lower.rolled_call import rolled_call
from backlit.lower.vectors import widest_vectors

# Its own cache writes pickles; ours keeps the result instead.
_SETTINGS: dict[str, Any] = {"fx_graph_cache": False}

# A product that is only added rounds once, in one instruction: MLP GAN, DCGAN-64 and LSTM take 3 to
# 5 % less time.
_FUSED_PRODUCTS = {"cpp.enable_floating_point_contract_flag": "fast"}

# In half precision a tanh is made of one exponential: it is off by 2e-7 at most, a hundredth of
# what such numbers are rounded by from 0.01 on, and takes half the time (an LSTM's step takes 5 to
# 10 % less). A variance is a mean of squares, once the mean is known, and not Welford's update of
# both, which divides for each number: as near, in less time (DCGAN-64 takes 5 % less).
_HALF_PRECISION = {"cpp.use_decompose_tanh": True, "cpp.use_two_step_variance_threshold": 2**40}

# Among wide convolutions, what is computed of more than so many tensors and read by several loops
# is computed once. With the compiler's own 4, a normalisation's gradient is computed anew in each
# of its sums (DCGAN-64 takes 9 % more time, U-Net 2 %); with 2, U-Net takes 6 % more. Where
# tensors are small, computing is cheaper (LeNet would take 12 % more).
_READS = 3

# Values of this many bytes together are put into one block that is kept, see `kept_buffers`: their
# pages are not asked for anew in each call (DCGAN-64 takes 7 % less time). In fewer the cutting
# costs more; values as large as the last are kept one by one (AlexNet would take 12 % more).
_PLANNED_BYTES, _PLANNED_EACH = 500_000_000, 64 * 2**20


# The standard library's headers are asked for, not read: that would take most of the time.
_PROBE = """
#if !__has_include(<vector>)
#error
#endif
int main() { return 0; }
"""


@functools.cache
def compiler_available() -> bool:
    """Whether a C++ compiler that works is at hand ($CXX, c++, g++ or clang++)."""
    names = [os.environ.get("CXX"), "c++", "g++", "clang++"]
    for found in filter(None, (shutil.which(name) for name in names if name)):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.cpp"
            source.write_text(_PROBE)
            done = subprocess.run(
                [found, str(source), "-o", str(Path(folder) / "probe")], capture_output=True
            )
            if done.returncode == 0:
                return True
    return False


def compile_graph(
    gm: GraphModule, inputs: Sequence[Tensor], say: Callable[[str], None] | None = None
) -> Callable[..., Any]:
    """A compiled form of a flat graph whose in-place updates of inputs are kept.

    On the CPU it is kept in the user's cache folder, see `backlit.lower.cache`. Stretches that
    repeat are compiled once, see `backlit.lower.roll`.

    Args:
        gm: flat graph of static shapes.
        inputs: example inputs in the order of its placeholders.
        say: told, a line each, what went wrong with the cache.
    Returns: a function of the same inputs.
    """
    gm = copy.deepcopy(gm)
    hold_scalars(gm)
    here = on_cpu(inputs)
    if here:
        hold_products(gm)
        narrow_parts(gm)
    if channels_last(gm):
        if here:
            hold_gradients(gm)
            hold_planes(gm)
        hold_weights(gm)  # on a GPU what a convolution makes lies as its weight does
    rolled = roll(gm, inputs)
    if rolled is None:
        return _compiled(gm, inputs, say)
    parts: Any = rolled.named_children()
    calls = Counter(node.target for node in rolled.graph.nodes if node.op == "call_module")
    pieces = {name: _compiled(part, _examples(part), say, calls[name] > 1) for name, part in parts}
    return rolled_call(rolled, pieces)


def _compiled(
    gm: GraphModule,
    inputs: Sequence[Tensor],
    say: Callable[[str], None] | None,
    repeated: bool = False,
) -> Callable[..., Any]:
    """One compiled function, from the cache where it is there.

    Args:
        repeated: called many times in a step, with what other pieces made: they have looked at
            the shapes of the step's inputs.
    """
    settings = dict(_SETTINGS)
    if repeated:
        settings["size_asserts"] = False
    if on_cpu(inputs):
        settings |= _FUSED_PRODUCTS
        if not channels_last(gm):
            settings["layout_optimization"] = False
        elif convolves(gm):
            settings["realize_reads_threshold"] = _READS
        if _lowered(gm):
            settings |= _HALF_PRECISION
        if _worth_planning(gm):
            settings["memory_planning"] = True
    key = cache.key_of(gm, inputs, settings)
    written = {n.args[0] for n in gm.graph.nodes if n.target is aten.copy_.default}
    state = [i for i, wire in enumerate(placeholders(gm)) if wire in written]
    kept = None if key is None else cache.load(key, say, state)
    if kept is None:
        made = _compile(gm, inputs, settings)
        if key is None or made.code is None or not cache.save(key, made.code, made.names, say):
            return made.function
        # From here on as from the cache, so that a run that goes on meets the very same code.
        return cache.load(key, say, state) or made.function
    return kept


def _lowered(gm: GraphModule) -> bool:
    """Whether a graph computes in half precision."""
    return any(
        isinstance(like := value(node), Tensor) and like.dtype in (torch.bfloat16, torch.float16)
        for node in gm.graph.nodes
    )


def _worth_planning(gm: GraphModule) -> bool:
    """Whether a graph's values are given their places in one block of memory."""
    values = [node.meta.get("val") for node in gm.graph.nodes if node.op == "call_function"]
    sizes = [v.numel() * v.element_size() for v in values if isinstance(v, Tensor)]
    return sum(sizes) >= _PLANNED_BYTES and max(sizes) < _PLANNED_EACH


@dataclass
class _Made:
    function: Callable[..., Any]
    code: str | None = None  # the module's text, where its `call` alone is the whole function
    names: dict[str, Any] = field(default_factory=dict)


def _compile(gm: GraphModule, inputs: Sequence[Tensor], settings: Mapping[str, Any]) -> _Made:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch deprecates in its own files
        import torch._inductor.config as config
        from torch._inductor.compile_fx import compile_fx, compile_fx_inner

    parts: list[tuple[GraphModule, Any]] = []

    def make() -> Any:
        parts.clear()
        with ExitStack() as stack:
            stack.enter_context(quick_compile())
            if on_cpu(inputs):
                stack.enter_context(one_trace(gm, inputs))
                stack.enter_context(early_kernels())
                if channels_last(gm) and convolves(gm):
                    stack.enter_context(loops_apart())
                    stack.enter_context(config.patch(post_grad_custom_post_pass=hold_vectors))
            return compile_fx(copy.deepcopy(gm), list(inputs), inner_compile=inner)

    def inner(graph: GraphModule, examples: Sequence[Any], **options: Any) -> Any:
        result = compile_fx_inner(graph, examples, **options)
        parts.append((graph, result))
        return result

    width = len(output_wires(gm))
    with torch.no_grad(), warnings.catch_warnings(), config.patch(dict(settings)):
        warnings.simplefilter("ignore")  # inductor's notes on its own internals
        made = _Made(widest_vectors(make))
    if len(parts) == 1:
        graph, result = parts[0]
        call = getattr(result, "current_callable", None)
        # Inputs merged or updates done behind the module's back would show in the counts.
        whole = len(output_wires(graph)) == width and len(placeholders(graph)) == len(inputs)
        if whole and call is not None and not (result.constants or result.torchbind_constants):
            made.code = result.source_code
            made.names = getattr(call, "__func__", call).__globals__
    return made


def _examples(gm: GraphModule) -> list[Tensor]:
    """Tensors laid out like those on a graph's placeholders."""
    return real_like([node.meta["val"] for node in placeholders(gm)])
