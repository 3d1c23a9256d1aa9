"""Large buffers of compiled code, kept from one call to the next.

malloc asks the system for every block of more than 32 MiB and gives it back when it is free, so
that each call pays for all its pages anew: a tenth of VGG-11's step, for the vector of gradients.
"""

from __future__ import annotations

import ast
import functools
import math
import re
import threading
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from backlit.lower.layout import span

NAME = "kept_empty_strided_cpu"
_LARGE_BYTES = 32 * 2**20
_ALLOCATION = re.compile(r"\bempty_strided_cpu\((\([\d, ]*\)), (\([\d, ]*\)), torch\.(\w+)\)")


def ask_for_kept(code: str) -> str:
    """A compiled module's text, with its large allocations under the name `NAME`."""

    def ask(found: re.Match[str]) -> str:
        size = math.prod(ast.literal_eval(found[1])) * getattr(torch, found[3]).itemsize
        return found[0].replace("empty_strided_cpu", NAME) if size >= _LARGE_BYTES else found[0]

    return _ALLOCATION.sub(ask, code)


@functools.cache
def keep_pages() -> None:
    """Lets malloc keep what a step frees, up to 64 MiB, for the next step; once in a process.

    It gives the end of its memory back as soon as twice its largest block so far is free there,
    32 MiB at most: in a process that made no larger block, each call of DCGAN-64's step asked for
    9,000 pages anew, a twelfth of its time. This block is of the most that counts; none of it is
    written. Nothing happens where the C library is another than glibc.

    Source: mallopt(3), "dynamic mmap threshold".
    """
    torch.empty(_LARGE_BYTES - 2**13, dtype=torch.uint8)


class KeptBuffers:
    """Gives uninitialised tensors whose memory was given before and is in no other's use.

    A large one gets memory of just its size, a smaller one what is large enough; where nothing
    is, new memory takes the place of the smaller that nobody uses.
    """

    def __init__(self) -> None:
        self._kept: list[_Block] = []
        self._lock = threading.Lock()

    def __call__(
        self, shape: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype
    ) -> Tensor:
        size = dtype.itemsize * span(shape, stride)
        with self._lock:
            idle = [block for block in self._kept if block.idle()]
            fitting = [block for block in idle if block.fits(size)]
            if not fitting:
                small = [block for block in idle if block.size < size < _LARGE_BYTES]
                self._kept = [block for block in self._kept if block not in small]
                fitting = [_Block(size)]
                self._kept += fitting
            memory = min(fitting, key=lambda block: block.size).memory
            return memory[:size].view(dtype).as_strided(shape, stride)


class _Block:
    def __init__(self, size: int):
        self.size, self.memory = size, torch.empty(size, dtype=torch.uint8)
        self._storage = self.memory.untyped_storage()
        self._unused = _uses(self._storage)

    def idle(self) -> bool:
        return _uses(self._storage) == self._unused

    def fits(self, size: int) -> bool:
        return size == self.size or size < self.size < _LARGE_BYTES


_SHARED: WeakValueDictionary[str, KeptBuffers] = WeakValueDictionary()


def shared_buffers() -> KeptBuffers:
    """The buffers of all compiled functions of this process; they go with the last of these."""
    buffers = _SHARED.get("all")
    if buffers is None:
        buffers = _SHARED["all"] = KeptBuffers()
    return buffers


def _uses(storage: Any) -> int:
    """How many tensors and names hold a storage."""
    count: Any = torch._C._storage_Use_Count  # type: ignore[attr-defined]
    return int(count(storage._cdata))
