"""One name for a graph on this machine: what was found of it once holds while the name is equal."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule


def fingerprint(gm: GraphModule, inputs: Sequence[Tensor], facts: Mapping[str, Any]) -> str:
    """A hexadecimal sum of a graph, of what runs it and of further facts.

    Args:
        gm: flat graph, without constants of its own (``get_attr``).
        inputs: tensors in the order of its placeholders; their shapes and layouts count.
        facts: whatever else counts, JSON-able.
    """
    everything = {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": [platform.machine(), _processor(), torch.backends.cpu.get_cpu_capability()],
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "onednn": torch.backends.mkldnn.enabled,
        "inputs": [[list(t.shape), list(t.stride()), str(t.dtype)] for t in inputs],
        "graph": [
            [n.op, n.name, str(n.target), repr(n.args), repr(n.kwargs)] for n in gm.graph.nodes
        ],
        **facts,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return " ".join(sorted({x for x in lines if x.startswith(("model name", "flags"))}))
