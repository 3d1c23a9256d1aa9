"""Chooses the lowering of each costly gate by measuring them on this machine, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from backlit.lower.costly import costly
from backlit.lower.flops import flops
from backlit.lower.kernel_file import Seconds, kernel_file, read_kernels, write_kernels
from backlit.lower.lowerings import DEFAULT, LOWERINGS, Call, value_of
from backlit.lower.machine import machine

# What a lowering must gain to be chosen: less may be chance, and the gate as it stands fuses best.
WORTH_GAIN = 1.05
_HOPELESS = 3.0  # times slower than the best in the first round
_ROUNDS = (4, 50)


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
        enough = self.seconds[DEFAULT] >= WORTH_GAIN * self.seconds[best]
        return best if enough else DEFAULT

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
    least_flops: int = 0,
    budget_s: float = 0.3,
    file: Path | None = None,
    told: Callable[[str], None] | None = None,
) -> dict[str, Kernel]:
    """Measures the lowerings of each distinct costly gate, unless that was done before.

    Args:
        gm: flat graph of static shapes.
        inputs: tensors in the order of its placeholders (only shapes and layouts count).
        least_flops: operations below which a gate is left as it stands.
        budget_s: seconds spent on one gate, first calls not counted.
        file: where measurements are kept; default `kernel_file()`.
        told: called with a line before each gate is measured.
    Returns: by the gate's name its measurements.
    """
    file = file or kernel_file()
    gates = {n: g for n, g in costly(gm, inputs).items() if flops(n) >= least_flops}
    where = {node: machine(_device(call)) for node, (_, call) in gates.items()}
    kept = {place: read_kernels(file, place) for place in set(where.values())}
    kernels: dict[str, Kernel] = {}
    new: dict[str, dict[str, Seconds]] = {}
    distinct = len({name for name, _ in gates.values()})
    for node, (name, call) in gates.items():
        if name in kernels:
            kernels[name] = replace(kernels[name], count=kernels[name].count + 1)
            continue
        served = [n for n, low in LOWERINGS[call.kind].items() if low.accepts(call)]
        seconds = kept[where[node]].get(name, {})
        if sorted(seconds) != sorted(served):
            if told is not None:
                told(f"measuring kernels: {len(kernels) + 1} of {distinct}, {name}")
            seconds = measure(call, served, budget_s)
            new.setdefault(where[node], {})[name] = seconds
        kernels[name] = Kernel(name, seconds, flops(node), 1)
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
    given = _on_tensors(call, None)
    lying_last = _on_tensors(call, torch.channels_last)
    runs: dict[str, Callable[[], Any]] = {}
    for name in names:
        low = LOWERINGS[call.kind][name]
        this = given if name == DEFAULT else lying_last
        runs[name] = partial(low.run, this)
    cuda = _device(call).type == "cuda"
    for run in runs.values():
        run()  # what is compiled, packed or allocated once
    samples = {name: [_time(run, cuda)] for name, run in runs.items()}
    least = min(times[0] for times in samples.values())
    racing = [n for n, times in samples.items() if times[0] <= _HOPELESS * least]
    start = time.perf_counter()
    for done in range(_ROUNDS[1]):
        if done >= _ROUNDS[0] and time.perf_counter() - start > budget_s:
            break
        for name in racing:
            samples[name].append(_time(runs[name], cuda))
    # Other work on the machine only ever adds time, so the quicker quarter tells more.
    return {name: sorted(times)[len(times) // 4] for name, times in samples.items()}


def _time(run: Callable[[], Any], cuda: bool) -> float:
    if cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _on_tensors(call: Call, pictures: torch.memory_format | None) -> Call:
    """The call on random tensors that lie as on its wires; pictures in another layout if given."""
    made: dict[Node, Tensor] = {}
    weight = None if call.kind == "weight gradient" else call.operands[-1]

    def make(node: Node) -> Tensor:
        if node not in made:
            like = value_of(node)
            x = torch.empty_strided(
                like.shape, like.stride(), dtype=like.dtype, device=like.device
            ).normal_()
            if pictures is not None and call.size and x.dim() == 4 and node is not weight:
                x = x.contiguous(memory_format=pictures)
            made[node] = x
        return made[node]

    args, operands, bias = map_arg((call.args, call.operands, call.bias), make)
    return replace(call, args=args, operands=operands, bias=bias)


def _device(call: Call) -> torch.device:
    return value_of(call.operands[-2]).device
