"""Chooses the lowering of each costly gate by measuring them on this machine, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg
from torch.utils._pytree import tree_map

from backlit.devices import on_gpu, wait_for_devices
from backlit.lower.costly import costly
from backlit.lower.flops import flops
from backlit.lower.kept_buffers import keep_pages, shared_buffers
from backlit.lower.kernel_file import Seconds, kernel_file, read_kernels, write_kernels
from backlit.lower.layout import span
from backlit.lower.lowerings import DEFAULT, LOWERINGS, Call, Lowering, value_of
from backlit.lower.lowerings.scratch import forget
from backlit.lower.machine import machine

# What a lowering must gain to be chosen: less may be chance, and the gate as it stands fuses best.
WORTH_GAIN = 1.05
_LARGE_FLOPS, _LEAST_SHARE = 100_000_000, 0.15
# How many times slower than the best a lowering may be after the first calls, the first round, ...:
# the longer the race, the less of the least time is chance.
_BEHIND = (4.0, 1.7, 1.3)
_ONCE_S = 0.01  # what first calls compile, pack and allocate
_ROUNDS = (3, 50)
_DRAWN = 2**16  # numbers; longer tensors repeat them: drawing took a tenth of all the time


@dataclass(frozen=True)
class Kernel:
    """The lowerings of one distinct gate, measured.

    Attributes:
        gate: kind, shapes, dtype and settings in a line.
        seconds: time of each lowering (lower quartile); ``"aten"`` is the gate as it stands.
        flops: of one call.
        count: how many gates of the graph are of this kind and shape.
    """

    gate: str
    seconds: Seconds
    flops: int
    count: int

    @property
    def chosen(self) -> str:
        """The fastest lowering, if it gains enough."""
        best = min(self.seconds, key=self.seconds.__getitem__)
        return best if self.seconds[DEFAULT] >= WORTH_GAIN * self.seconds[best] else DEFAULT

    @property
    def gflops_per_s(self) -> float:
        """The chosen lowering's rate."""
        return self.flops / self.seconds[self.chosen] / 1e9

    @property
    def gain(self) -> float:
        """How many times faster than the gate as it stands."""
        return self.seconds[DEFAULT] / self.seconds[self.chosen]


def choose(
    gm: GraphModule,
    inputs: Sequence[Any],
    *,
    least_picture_flops: int = 0,
    budget_s: float = 0.12,
    file: Path | None = None,
    told: Callable[[str], None] | None = None,
) -> dict[str, Kernel]:
    """Measures the lowerings of each distinct costly gate, unless that was done before.

    Args:
        gm: flat graph of static shapes.
        inputs: tensors in the order of its placeholders (only shapes and layouts count).
        least_picture_flops: operations below which a convolution is left as it stands.
        budget_s: seconds spent on a large gate, first calls not counted; on a small one less.
        file: where measurements are kept; default `kernel_file()`.
        told: called with a line before each gate is measured.
    Returns: by the gate's name its measurements.
    """
    file = file or kernel_file()
    buffers = shared_buffers()  # kept while measuring, as a compiled step keeps them
    gates = {
        node: (name, call)
        for node, (name, call) in costly(gm, inputs).items()
        if not call.size or flops(node) >= least_picture_flops
    }
    where = {node: machine(_device(call)) for node, (_, call) in gates.items()}
    kept = {place: read_kernels(file, place) for place in set(where.values())}
    kernels: dict[str, Kernel] = {}
    new: dict[str, dict[str, Seconds]] = {}
    distinct = len({name for name, _ in gates.values()})
    for node, (name, call) in gates.items():
        if name in kernels:
            kernels[name] = replace(kernels[name], count=kernels[name].count + 1)
            continue
        served = {n: low for n, low in LOWERINGS[call.kind].items() if low.accepts(call)}
        worth = [n for n, low in served.items() if low.promises(call)]
        seconds = kept[where[node]].get(name, {})
        if not set(worth) <= seconds.keys() <= served.keys():
            if told is not None:
                told(f"measuring kernels: {len(kernels) + 1} of {distinct}, {name}")
            share = min(1.0, max(_LEAST_SHARE, flops(node) / _LARGE_FLOPS))
            seconds = measure(call, worth, share * budget_s)
            new.setdefault(where[node], {})[name] = seconds
        kernels[name] = Kernel(name, seconds, flops(node), 1)
    if new:
        del buffers
        forget()  # lowerings that were not chosen wrote most of it
    for place, measured in new.items():
        write_kernels(file, place, measured)
    return kernels


@torch.no_grad()
def measure(call: Call, names: Sequence[str], budget_s: float) -> Seconds:
    """Seconds of each lowering of a gate, timed in turns on random numbers: the lower quartile.

    Args:
        call: the gate, on wires that know their value's shape.
        names: lowerings that accept it.
    """
    given = _on_tensors(call)
    lying_last = _lying_last(given)
    runs: dict[str, Callable[[], Any]] = {}
    for name in names:
        low = LOWERINGS[call.kind][name]
        this = given if name == DEFAULT else lying_last
        runs[name] = partial(_in_order, low, this)
    if not on_gpu(_device(call)):
        keep_pages()  # as in a compiled step
    samples = race({name: partial(_time, run) for name, run in runs.items()}, budget_s)
    # Other work on the machine only ever adds time, so the quicker quarter tells more.
    return {name: sorted(times)[len(times) // 4] for name, times in samples.items()}


def _in_order(low: Lowering, call: Call) -> Any:
    """A lowering's result; a product that lies turned is brought into order, as its reader must."""
    result = (low.timed or low.run)(call)
    return result if call.size else result.contiguous()


def race(clocks: Mapping[str, Callable[[], float]], budget_s: float) -> dict[str, list[float]]:
    """Times taken in turns; whoever is far behind the best leaves early.

    Args:
        clocks: by name, what runs once and returns the seconds it took.
        budget_s: seconds after which no further round begins, the first few excepted; whoever
            is left alone does not run on either.
    Returns: the times of each; that of its first call only where there is no other.
    """
    samples = {name: [clock()] for name, clock in clocks.items()}
    racing, spent_s = list(clocks), 0.0
    for done in range(_ROUNDS[1]):
        least = {name: min(times) for name, times in samples.items()}
        behind = _BEHIND[min(done, len(_BEHIND) - 1)] * min(least.values())
        racing = [n for n in racing if least[n] <= behind + (0 if done else _ONCE_S)]
        if done >= _ROUNDS[0] and (spent_s > budget_s or len(racing) == 1):
            break
        for name in racing:
            samples[name].append(clocks[name]())
            spent_s += samples[name][-1]
    return {name: times[1:] or times for name, times in samples.items()}


def _time(run: Callable[[], Any]) -> float:
    wait_for_devices()
    start = time.perf_counter()
    run()
    wait_for_devices()
    return time.perf_counter() - start


def _on_tensors(call: Call) -> Call:
    """The call on random tensors that lie as on its wires."""
    made: dict[Node, Tensor] = {}

    def make(node: Node) -> Tensor:
        if node not in made:
            like = value_of(node)
            # Of an expanded tensor several elements are one.
            elements = span(like.shape, like.stride())
            drawn = torch.randn(min(elements, _DRAWN), dtype=like.dtype, device=like.device)
            drawn = drawn.repeat(-(-elements // _DRAWN))
            made[node] = drawn.as_strided(like.shape, like.stride())
        return made[node]

    args, operands, bias = map_arg((call.args, call.operands, call.bias), make)
    return replace(call, args=args, operands=operands, bias=bias)


def _lying_last(call: Call) -> Call:
    """The same call on tensors that lie channels-last, as the compiler gives them to lowerings."""
    laid: dict[int, Tensor] = {}

    def lay(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not call.size or leaf.dim() != 4:
            return leaf
        if id(leaf) not in laid:
            laid[id(leaf)] = leaf.contiguous(memory_format=torch.channels_last)
        return laid[id(leaf)]

    args, operands, bias = tree_map(lay, (call.args, call.operands, call.bias))
    return replace(call, args=args, operands=operands, bias=bias)


def _device(call: Call) -> torch.device:
    return value_of(call.operands[-2]).device
