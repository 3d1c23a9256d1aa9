"""What could change a bit between two sittings of one run: recorded, and compared on resume."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import numpy
import torch

import backlit
from backlit.lower import processor


def environment(mode: str, chosen: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Return what the bits of a run depend on beside its recipe, as JSON-able facts.

    Args:
        mode: the mode the step really runs in ("plain", "compiled", "watched").
        chosen: what else was chosen for this run, by name; None where there was no choice.
    """
    facts: dict[str, Any] = {
        "backlit": backlit.__version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "mode": mode,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "onednn": torch.backends.mkldnn.enabled,
    }
    facts |= {name: value for name, value in chosen.items() if value is not None}
    if torch.cuda.is_available():
        facts["cuda"] = f"{torch.version.cuda}, {torch.cuda.get_device_name()}"
    if mode == "compiled":
        facts["compiler"] = _compiler()
    return facts


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return "torch 2.12.0 -> 2.13.0" and the like for each fact that changed."""
    return [
        f"{name} {before.get(name, 'unknown')} -> {now.get(name, 'unknown')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _compiler() -> str:
    command = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")
    if command is None:
        return "unknown"
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return answer.stdout.partition("\n")[0] or "unknown"
