"""Large buffers are used again, never by two at a time."""

import platform
import resource
import subprocess
import sys

import pytest
import torch

from backlit.lower import kept_buffers
from backlit.lower.kept_buffers import NAME, KeptBuffers, ask_for_kept, shared_buffers


def test_memory_is_given_again_when_nobody_uses_it():
    empty = KeptBuffers()
    a = empty((8, 4), (4, 1), torch.float32)
    b = empty((8, 4), (4, 1), torch.float32)
    assert a.data_ptr() != b.data_ptr()
    place, part = a.data_ptr(), a[2:]
    del a
    assert empty((8, 4), (4, 1), torch.float32).data_ptr() not in (place, b.data_ptr())
    del part  # a view held it
    again = empty((4, 8), (1, 4), torch.int32)  # as many bytes
    assert again.data_ptr() == place and again.shape == (4, 8) and again.stride() == (1, 4)


def test_what_is_large_enough_serves_and_takes_the_place_of_smaller():
    empty = KeptBuffers()
    small, other = empty((8,), (1,), torch.float32), empty((8,), (1,), torch.float32)
    del small
    large = empty((100,), (1,), torch.float32)  # takes the place of the one not in use
    place = large.data_ptr()
    del large
    again = empty((10,), (1,), torch.bfloat16)
    assert again.data_ptr() == place and again.shape == (10,)
    assert sorted(block.size for block in empty._kept) == [32, 400]
    del other
    assert empty((8,), (1,), torch.float32).data_ptr() != place


def test_very_large_ones_are_not_cut_up(monkeypatch):
    monkeypatch.setattr(kept_buffers, "_LARGE_BYTES", 200)
    empty = KeptBuffers()
    for elements in (100, 60, 10):  # of 4 bytes
        empty((elements,), (1,), torch.float32)
    assert sorted(block.size for block in empty._kept) == [40, 240, 400]


def test_only_large_allocations_ask():
    code = (
        "buf0 = empty_strided_cpu((4096, 4096), (4096, 1), torch.float32)\n"
        "buf1 = empty_strided_cpu((4096, 4095), (4095, 1), torch.bfloat16)\n"
        "buf2 = empty_strided_cpu((), (), torch.float64)\n"
        "buf3 = other_empty_strided_cpu((4096, 4096), (4096, 1), torch.float32)\n"
    )
    lines = ask_for_kept(code).splitlines()
    assert lines[0] == f"buf0 = {NAME}((4096, 4096), (4096, 1), torch.float32)"
    assert lines[1:] == code.splitlines()[1:]


def test_all_functions_share_them_while_one_lives():
    first, second = shared_buffers(), shared_buffers()
    assert first is second
    before = id(first)
    kept = first((2,), (1,), torch.float64)
    place = kept.data_ptr()
    del kept, first
    assert second((2,), (1,), torch.float64).data_ptr() == place and id(second) == before


# Seven blocks of 8 MiB, again and again; the first times malloc finds its way.
PAGES_ASKED = """
import resource
import sys
import torch
from backlit.lower import kept_buffers
from backlit.lower.kept_buffers import keep_pages

def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.full((2**21,), 1.0) for _ in range(7)]
    blocks.clear()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    keep_pages()
print(min([step() for _ in range(8)][2:]))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="pages are kept with glibc only")
def test_freed_pages_are_not_asked_for_anew():
    def asked(how):
        command = [sys.executable, "-c", PAGES_ASKED, how]
        return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)

    pages = 7 * 2**23 // resource.getpagesize()
    # Where something small happens to lie at the end of malloc's memory, it keeps the pages anyway.
    assert any(asked("leave") > pages / 2 for _ in range(6))
    assert asked("keep") < pages / 20
