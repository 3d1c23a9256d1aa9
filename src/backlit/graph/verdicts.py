"""Verdicts that stand: what passed once passes while graph, source and machine are the same."""

from __future__ import annotations

import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import nn
from torch._ops import OpOverload

from backlit.folders import cache_folder, keep_newest, source_sum
from backlit.graph.fingerprint import fingerprint
from backlit.graph.graph import Graph
from backlit.graph.parity import verify

_KEPT = 512  # empty files


def verify_once(graph: Graph, module: nn.Module, args: Any, kwargs: Any) -> None:
    """Compares the graph with plain PyTorch, unless the same graph passed before.

    The same is: equal gates, shapes and layouts; equal files that the module's classes are from;
    the same Backlit, PyTorch and processor. A graph with users' gates, or on a GPU, is compared
    each time. Verdicts are kept in the user's cache folder.

    Raises: as `verify`.
    """
    name = _name(graph, module)
    if name is None:
        verify(graph, module, args, kwargs)
        return
    place = cache_folder() / "verdicts" / name
    if place.exists():
        return
    verify(graph, module, args, kwargs)
    with suppress(OSError):  # it is compared again next time
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        place.touch()
        keep_newest(place.parent, _KEPT)


def _name(graph: Graph, module: nn.Module) -> str | None:
    """What a verdict is kept under; None where it depends on more than can be named."""
    given = [
        (graph.example if wire.kind == "input" else graph.bindings)[wire.name]
        for wire in graph.inputs
    ]
    sources = {_source(type(part)) for part in module.modules()}
    if None in sources or any(tensor.device.type != "cpu" for tensor in given):
        return None
    operators = [n.target for n in graph.gm.graph.nodes if isinstance(n.target, OpOverload)]
    if any(operator.namespace not in ("aten", "prims") for operator in operators):
        return None  # a user's gate: its rules are the user's, wherever they are
    facts = {
        "inputs are": [[wire.name, wire.kind] for wire in graph.inputs],
        "new buffers": graph.new_buffers,
        "backlit": source_sum(),
        "sources": sorted(filter(None, sources)),
    }
    return fingerprint(graph.gm, given, facts)


def _source(kind: type[nn.Module]) -> str | None:
    """A sum of the file a class is from, less those that a version names; None if there is none."""
    if kind.__module__.partition(".")[0] in ("torch", "backlit"):
        return kind.__module__
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    try:
        return sha256(Path(file).read_bytes()).hexdigest() if file else None
    except OSError:
        return None
