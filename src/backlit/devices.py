"""Where tensors lie: in the processor's memory or on a GPU."""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from backlit.errors import RecipeError


def on_cpu(tensors: Iterable[Tensor]) -> bool:
    """Whether all tensors lie in the processor's memory."""
    return all(tensor.device.type == "cpu" for tensor in tensors)


def on_gpu(device: torch.device | str) -> bool:
    """Whether a device is a GPU."""
    return torch.device(device).type == "cuda"


def usable_device(name: str) -> torch.device:
    """The device of that name.

    Args:
        name: "cpu", "cuda" or "cuda:1".
    Raises: RecipeError where it is none of these, or PyTorch sees no such device here.
    """
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise RecipeError(f"device: expected cpu, cuda or cuda:N, got '{name}'")
    device, seen = torch.device(name), torch.cuda.device_count()
    if on_gpu(device) and (device.index or 0) >= seen:
        raise RecipeError(
            f"device: '{name}' asked for, PyTorch {torch.__version__} sees {seen} CUDA devices here"
        )
    return device


def wait_for_devices() -> None:
    """Returns when every kernel sent to a GPU has run; at once where none was ever used."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
