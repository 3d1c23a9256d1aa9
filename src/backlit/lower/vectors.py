"""Which vector instructions generated code may use: asked of the compiler once for a machine.

PyTorch's compiler builds and loads a library for every set of instructions the processor has, in
each process that compiles. The widest set is the one it takes, so that one is tried alone, and
the answer is kept for this processor, this PyTorch and this compiler.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

from backlit.folders import cache_folder
from backlit.lower.machine import processor


def vectors_work() -> bool | None:
    """True where the compiler builds for the processor's widest vectors; None: not known."""
    try:
        from torch._inductor import cpu_vec_isa
        from torch._inductor.cpp_builder import get_cpp_compiler

        flags = cpu_vec_isa.x86_isa_checker()
        known: Any = cpu_vec_isa.supported_vec_isa_list
        widest = next((i for i in known if all(f in flags for f in str(i).split())), None)
        if platform.machine() not in ("x86_64", "AMD64") or widest is None:
            return None
        told = subprocess.run([get_cpp_compiler(), "--version"], capture_output=True, text=True)
        facts = [torch.__version__, processor(), sorted(flags), str(widest), told.stdout]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        path = cache_folder() / "vectors.json"
        if _read(path) == key:
            return True
        if not widest.check_build(cpu_vec_isa.VecISA._avx_code):
            return None
    except (ImportError, AttributeError, OSError):  # PyTorch asks itself, at length
        return None
    _write(path, key)
    return True


def _read(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["works"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, key: str) -> None:
    """Written aside and renamed; a folder that cannot be written only costs the next question."""
    aside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(prefix=".vectors-", dir=path.parent)
        with open(handle, "w", encoding="utf-8") as file:
            json.dump({"works": key}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)
