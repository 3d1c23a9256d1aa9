"""Compiling a flat graph with PyTorch's inductor, directly: no guards, no tracing of Python."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.fx import GraphModule


@functools.cache
def compiler_available() -> bool:
    """Whether a C++ compiler that works is at hand ($CXX, c++, g++ or clang++)."""
    names = [os.environ.get("CXX"), "c++", "g++", "clang++"]
    for found in filter(None, (shutil.which(name) for name in names if name)):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.cpp"
            source.write_text("#include <vector>\nint main() { return 0; }\n")
            done = subprocess.run(
                [found, str(source), "-o", str(Path(folder) / "probe")], capture_output=True
            )
            if done.returncode == 0:
                return True
    return False


def compile_graph(gm: GraphModule, inputs: Sequence[Tensor]) -> Callable[..., Any]:
    """A compiled form of a flat graph whose in-place updates of inputs are kept.

    Args:
        gm: flat graph of static shapes.
        inputs: example inputs in the order of its placeholders.
    Returns: a function of the same inputs.
    """
    import torch._inductor

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inductor's notes on its own internals
        return torch._inductor.compile(gm, list(inputs))
