"""What the speed of a kernel depends on beside its shapes."""

from __future__ import annotations

import platform
from collections.abc import Iterable

import torch
from torch import Tensor


def on_cpu(tensors: Iterable[Tensor]) -> bool:
    """Whether all tensors lie in the processor's memory."""
    return all(tensor.device.type == "cpu" for tensor in tensors)


def processor() -> str:
    """The processor's full name.

    oneDNN and MKL choose kernels by the exact processor, which platform.processor() hides on
    Linux.
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def machine(device: torch.device | str = "cpu") -> str:
    """Device, threads and PyTorch's version in a line: measurements hold for equal lines only."""
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"{processor()} {capability}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
