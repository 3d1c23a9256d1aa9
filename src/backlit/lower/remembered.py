"""What a step's graph was compiled to, remembered: a later process need not lower it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.fx import GraphModule

from backlit.folders import cache_folder, keep_newest, source_sum, write_file
from backlit.graph.origin import origin_of
from backlit.lower import cache
from backlit.lower.kernel_file import kernel_file, measured_since
from backlit.lower.rolled_call import Plan, RolledCall

_KEPT = 256  # files of some hundred bytes; of a net unrolled over 64 steps 10 kB


def name_of(
    gm: GraphModule,
    inputs: Sequence[Tensor],
    precision: str | None,
    kernels: str | Mapping[str, str] | None,
) -> str | None:
    """What `recall` knows a graph by; None for one whose compiled form is not kept.

    Args:
        gm: flat graph, before anything was lowered.
        inputs: tensors in the order of its placeholders.
        precision, kernels: how it is lowered, as `backlit.step.Step.prepare` takes them.
    """
    facts = {
        "backlit": source_sum(),
        "origins": [repr(origin_of(node)) for node in gm.graph.nodes],  # precision goes by them
        "precision": precision,
        "kernels": dict(kernels) if isinstance(kernels, Mapping) else kernels,
        "measured since": measured_since(kernel_file()) if kernels == "auto" else "",
    }
    return cache.key_of(gm, inputs, facts)


def recall(
    name: str | None, say: Callable[[str], None] | None = None
) -> tuple[Callable[..., Any], dict[str, str]] | None:
    """The compiled form and the kernels chosen for it; None where either is not known.

    Args:
        name: as `name_of` gave it.
        say: told, in one line, of a compiled form that is damaged.
    """
    if name is None:
        return None
    try:
        found = json.loads(_place(name).read_bytes())
        pieces: list[cache.Kept] = []
        for key, stay in found["compiled"]:
            piece = cache.load(str(key), say, [int(position) for position in stay])
            if piece is None:
                return None
            pieces.append(piece)
        kernels = {str(k): str(v) for k, v in found["kernels"].items()}
        plan = found["plan"]
        return (RolledCall(pieces, Plan(**plan)) if plan else pieces[0]), kernels
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None  # lowered anew, and then remembered anew


def remember(name: str | None, call: Callable[..., Any], kernels: Mapping[str, str]) -> None:
    """Lets `recall` find a compiled form, if it or all its pieces are kept."""
    plan, pieces = (call.plan, call.pieces) if isinstance(call, RolledCall) else (None, [call])
    kept = [piece for piece in pieces if isinstance(piece, cache.Kept)]
    if name is None or len(kept) < len(pieces):
        return
    found = {
        "compiled": [(piece.key, list(piece.stay)) for piece in kept],
        "plan": plan and asdict(plan),
        "kernels": dict(kernels),
    }
    place = _place(name)
    with suppress(OSError):  # the next process lowers it anew
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(place, json.dumps(found).encode())
        keep_newest(place.parent, _KEPT)


def _place(name: str) -> Path:
    return cache_folder() / "lowered" / f"{name}.json"
