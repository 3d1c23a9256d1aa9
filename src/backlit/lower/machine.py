"""What the speed of a kernel depends on beside its shapes."""

from __future__ import annotations

import platform
import subprocess
from typing import Any

import torch

from backlit.devices import on_gpu


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


def compiler_takes(*arguments: str) -> bool:
    """Whether the C++ compiler that PyTorch uses ends without an error for these arguments."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    done = subprocess.run([get_cpp_compiler(), *arguments], capture_output=True)
    return done.returncode == 0


def fast_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether a device multiplies matrices faster in bfloat16 than in float32.

    Asked of the hardware: AVX512-BF16 or AMX on a CPU, compute capability 8 or more on CUDA.
    """
    if on_gpu(device):
        return torch.cuda.get_device_capability(device)[0] >= 8
    cpu: Any = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


def machine(device: torch.device | str = "cpu") -> str:
    """Device, threads and PyTorch's version in a line: measurements hold for equal lines only."""
    if on_gpu(device):
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"{processor()} {capability}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
