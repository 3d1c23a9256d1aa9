"""One alternative in a process of its own: its memory, and the time to its first step."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from backlit.bench.peers import wait_for
from backlit.bench.rows import Row, find_row
from backlit.bench.ways import WAYS, Way, build
from backlit.devices import on_gpu

STEPS = 3  # before the high-water mark is reset, and after


def alone(name: str, way: Way, device: str = "cpu") -> dict[str, Any]:
    """Runs one alternative twice in new processes with an empty compile cache.

    Args:
        name, device: the row's, as `find_row` takes them.
    Returns: first_step_s (from the networks to the end of the first step, compiling included),
        peak_bytes and working_bytes (of the GPU, or where /proc tells them); of compiled ways also
        those of the second process, which finds what the first kept, as cached_first_step_s and so
        on; or alone_failed with the last line of what went wrong.
    """
    with tempfile.TemporaryDirectory() as cache:
        environment = {**caches_in(cache), "OMP_NUM_THREADS": str(torch.get_num_threads())}
        command = [sys.executable, "-m", "backlit.bench.alone", name, way.name, device]
        found: dict[str, Any] = {}
        for turn in range(2 if way.compiled else 1):
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                said = done.stderr.strip().splitlines() or ["no output"]
                return {"alone_failed": said[-1][:200]}
            told = json.loads(done.stdout.splitlines()[-1])
            found |= {f"cached_{key}" if turn else key: value for key, value in told.items()}
    return found


def caches_in(folder: str) -> dict[str, str]:
    """This process's environment for one whose caches of compiled code are all in a folder."""
    return {
        **os.environ,
        "BACKLIT_CACHE": str(Path(folder, "backlit")),
        "TORCHINDUCTOR_CACHE_DIR": str(Path(folder, "inductor")),
        "TMPDIR": folder,  # where PyTorch keeps its compiled headers
    }


def main(row_name: str, way_name: str, device: str = "cpu") -> dict[str, Any]:
    """What `alone` runs: prints one line of JSON."""
    row, way = find_row(row_name, device), WAYS[way_name]
    if way.compiled and way_name != "jax":
        importlib.import_module("torch._inductor.compile_fx")
    _settle()
    empty = _in_use(row)
    start = time.perf_counter()
    step, threads = build(row, way)
    torch.set_num_threads(threads)
    wait_for(step(0, False))
    found: dict[str, Any] = {"first_step_s": time.perf_counter() - start}
    for index in range(1, 1 + STEPS):
        wait_for(step(index, False))
    _settle()
    rest = _in_use(row)
    if empty is not None and rest is not None and _reset_peak(row):
        for index in range(1 + STEPS, 1 + 2 * STEPS):
            wait_for(step(index, False))
        peak = _peak(row)
        if peak is not None:
            found |= {"peak_bytes": peak - empty, "working_bytes": peak - rest}
    return found


def _settle() -> None:
    """Gives back what is free, so that what stays is in use."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def _in_use(row: Row) -> int | None:
    """Bytes of the memory that the row's tensors lie in: the GPU's, or this process's."""
    return torch.cuda.memory_allocated(row.device) if on_gpu(row.device) else _resident("VmRSS")


def _peak(row: Row) -> int | None:
    """The most that was in use since the mark was reset, in bytes."""
    return torch.cuda.max_memory_allocated(row.device) if on_gpu(row.device) else _resident("VmHWM")


def _resident(key: str) -> int | None:
    """Resident memory now (VmRSS) or at most (VmHWM), in bytes."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _reset_peak(row: Row) -> bool:
    if on_gpu(row.device):
        torch.cuda.reset_peak_memory_stats(row.device)
        return True
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
