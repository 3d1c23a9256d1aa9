"""The chosen kernels as a table."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from backlit.graph.show.text import columns
from backlit.lower.autotune import Kernel
from backlit.lower.costly import WORTH_FLOPS
from backlit.lower.machine import machine


def kernel_table(
    kernels: Mapping[str, Kernel], device: torch.device | str = "cpu", width: int | None = None
) -> str:
    """Each distinct costly gate: how often, the lowering chosen, its rate, its gain and time.

    Args:
        kernels: as `choose` returns them.
        device: where they were measured.
        width: in characters; default the terminal's.
    """
    if not kernels:
        return f"no gate of {WORTH_FLOPS:,} operations or more: nothing to choose"
    rows = [["gate", "times", "lowering", "GFLOP/s", "gain", "ms"]]
    ordered = sorted(kernels.values(), key=lambda k: -k.seconds[k.chosen] * k.count)
    for k in ordered:
        ms = 1e3 * k.seconds[k.chosen] * k.count
        gain = f"{k.gain:.2f}x"
        rows.append([k.gate, str(k.count), k.chosen, f"{k.gflops_per_s:.1f}", gain, f"{ms:.2f}"])
    before = sum(k.seconds["aten"] * k.count for k in ordered)
    after = sum(k.seconds[k.chosen] * k.count for k in ordered)
    last = f"together {before * 1e3:.4g} ms as they stand, {after * 1e3:.4g} ms as chosen"
    return f"{machine(device)}\n{columns(rows, width, rules={0}, right={1, 3, 4, 5})}\n{last}"
