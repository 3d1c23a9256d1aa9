"""What this machine can do at best, and what a step needs at least."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from backlit.bench.peers import StepOf
from backlit.devices import on_gpu, wait_for_devices


@dataclass(frozen=True)
class Roof:
    """Rates of the machine, the best of several trials.

    Attributes:
        float32_flops, bfloat16_flops: operations a second of a square matrix product, a
            multiplication and an addition counted as two.
        copy_bytes: bytes a second of a copy, those read and those written.
        threads: CPU threads they were measured with.
    """

    float32_flops: float
    bfloat16_flops: float
    copy_bytes: float
    threads: int


@dataclass(frozen=True)
class Needs:
    """What one step needs at least.

    Attributes:
        flops: operations of its matrix products and convolutions, those of gradients that
            nobody uses left out.
        values: numbers that those operations read and write, each operand once.
        state: numbers of parameters, which Adam reads and writes together with two moments.
    """

    flops: int
    values: int
    state: int


def measure_roof(
    size: int = 2048, copy_mib: int = 256, trials: int = 5, device: str = "cpu"
) -> Roof:
    """Measures the machine's rates.

    Args:
        size: side of the matrices; a GPU needs larger ones.
        copy_mib: size of the copied buffer in MiB, well above the caches.
        device: where they lie.
    """
    rates = []
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(a)
        rates.append(2 * size**3 / _best(partial(torch.mm, a, b, out=out), trials))
    source = torch.ones(copy_mib * 2**20 // 4, device=device)
    target = torch.zeros_like(source)
    copied = 2 * source.nbytes / _best(lambda: target.copy_(source), trials)
    return Roof(rates[0], rates[1], copied, torch.get_num_threads())


def measure_roof_with(threads: int, device: str = "cpu") -> Roof:
    """The rates of a device, with that many threads of the CPU."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        size = 8192 if on_gpu(device) else 2048
        return measure_roof(size, device=device)
    finally:
        torch.set_num_threads(before)


def higher(a: Roof, b: Roof) -> Roof:
    """The better of two measurements, rate by rate: a roof is what the machine can do at best."""
    return Roof(
        max(a.float32_flops, b.float32_flops),
        max(a.bfloat16_flops, b.bfloat16_flops),
        max(a.copy_bytes, b.copy_bytes),
        a.threads,
    )


def _best(call: Callable[[], Any], trials: int) -> float:
    call()
    times = []
    for _ in range(trials):
        wait_for_devices()
        start = time.perf_counter()
        call()
        wait_for_devices()
        times.append(time.perf_counter() - start)
    return min(times)


class _Counter(TorchDispatchMode):
    """Counts the operations of matrix products and convolutions, and what they read and write.

    (FlopCounterMode's formulas; itself it hooks into modules, which a gradient of a gradient
    does not allow.)
    """

    flops = values = 0
    one_piece = False  # met oneDNN's LSTM, which has no formula; without oneDNN it is products

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.one_piece |= func.overloadpacket is torch.ops.aten.mkldnn_rnn_layer
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
            tensors = [t for t in tree_leaves((args, result)) if isinstance(t, Tensor)]
            self.values += sum(t.numel() for t in tensors)
        return result


def needs(step: StepOf, parameters: int) -> Needs:
    """Counts one step of plain PyTorch that computes no gradient in vain.

    Args:
        parameters: how many numbers are trained in it.
    """
    step(0, False)
    with _Counter() as counter:
        step(1, False)
    if counter.one_piece:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it speaks of TF32 on Intel GPUs
            with torch.backends.mkldnn.flags(enabled=False), _Counter() as counter:
                step(2, False)
    return Needs(counter.flops, counter.values, parameters)


def distance(need: Needs, roof: Roof, seconds: float | None = None) -> dict[str, Any]:
    """The floor that the needs imply on this machine, in both precisions, and the distance to it.

    floor = max(operations / matmul rate, bytes / copy rate), bytes = w · values + 24 · state,
    with w = 4 in float32 and 2 in bfloat16 (Adam reads and writes a parameter and two moments
    in float32: 6 · 4 bytes). What lies between the products is taken as free, so no step
    reaches it.

    Args:
        seconds: a measured step's; `distance` is how many floors of the faster precision it is.
    """
    found: dict[str, Any] = {}
    for name, rate, width in (
        ("float32", roof.float32_flops, 4),
        ("bfloat16", roof.bfloat16_flops, 2),
    ):
        moved = width * need.values + 24 * need.state
        found[name] = {
            "bytes": moved,
            "floor_s": max(need.flops / rate, moved / roof.copy_bytes),
            "bound": "matmul" if need.flops / rate > moved / roof.copy_bytes else "copy",
        }
    if seconds is not None:
        found["distance"] = seconds / min(found[p]["floor_s"] for p in ("float32", "bfloat16"))
    return found
