"""A benchmark run: rows one after the other, what they found as plain values."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from backlit.bench.interleaved import FULL, Plan, Say, measure
from backlit.bench.roof import Needs, Roof, distance, higher, measure_roof_with
from backlit.bench.rows import ROWS, find_row
from backlit.bench.ways import OURS, WAYS
from backlit.devices import on_gpu, usable_device
from backlit.lower import processor


def run_rows(
    names: Sequence[str] = (),
    plan: Plan = FULL,
    say: Say = lambda text: None,
    after: Callable[[dict[str, Any]], Any] = lambda found: None,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measures rows.

    Args:
        names: rows, as `find_row` takes them; all by default.
        plan: how thoroughly.
        say: told what is being done, a line each.
        after: given all that was found so far, after each row.
        before: what an earlier run found; its other rows are kept if it is of this machine.
    Returns: machine, ways (name to what it is), roofs (by number of threads) and rows, see
        `measure` and `distance`.
    Raises: RecipeError for a name that is no row or a device that is not here, before anything is
        measured.
    """
    usable_device(plan.device)
    names = names or list(ROWS)
    threads = {name: find_row(name).threads or torch.get_num_threads() for name in names}
    here = machine(plan.device)
    kept = before if before and before.get("machine") == here else {"roofs": {}, "rows": {}}
    roofs = {int(n): Roof(**roof) for n, roof in kept["roofs"].items()}
    rows: dict[str, Any] = dict(kept["rows"])
    found: dict[str, Any] = {}
    for name in names:
        n = threads[name]
        say(f"{name}: the machine's rates")
        # Before each row anew: a single moment may be a busy one.
        roof = measure_roof_with(n, plan.device)
        roofs[n] = higher(roofs[n], roof) if n in roofs else roof
        rows[name] = measure(name, plan, say)
        for row in rows.values():
            ours = row["ways"].get(OURS, {}).get("median_s")
            row["roof"] = distance(Needs(**row["needs"]), roofs[row["threads"]], ours)
        found = {
            "machine": here,
            "ways": {way.name: way.about for way in WAYS.values()},
            "roofs": {str(n): asdict(roofs[n]) for n in sorted(roofs)},
            "rows": {name: rows[name] for name in [*ROWS, *rows] if name in rows},
        }
        after(found)
    return found


def machine(device: str = "cpu") -> dict[str, Any]:
    """What ran it: versions, processor and what of it matters to the figures, a GPU's name."""
    capability = {
        "avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
        "amx": torch.cpu._is_amx_tile_supported(),
    }
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        **capability,
        **({"gpu": torch.cuda.get_device_name(device)} if on_gpu(device) else {}),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def write_json(path: Path, found: Mapping[str, Any]) -> None:
    """Writes a file that is whole or not there."""
    aside = path.with_name(f".{path.name}.aside")
    with aside.open("w", encoding="utf-8") as file:
        file.write(json.dumps(found, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
