"""The file in which measured kernels are kept from one process to the next."""

from __future__ import annotations

import json
import os
import warnings
from datetime import datetime
from pathlib import Path

from backlit.folders import cache_folder, write_file

Seconds = dict[str, float]  # by lowering
_VERSION = 4  # grows when lowerings take another time than they did


class KernelFileWarning(UserWarning):
    """The file of measured kernels could not be read or written; kernels are measured again."""


def kernel_file() -> Path:
    """Where measurements are kept: kernels.json in the cache folder."""
    return cache_folder() / "kernels.json"


def read_kernels(path: Path, machine: str) -> dict[str, Seconds]:
    """What was measured on a machine, by gate; a damaged file is put aside with a warning.

    Args:
        machine: as `backlit.lower.machine.machine` says it.
    """
    return _read(path)[1].get(machine, {})


def measured_since(path: Path) -> str:
    """When the file was begun: measurements of two beginnings may disagree; "" where none is."""
    return _read(path)[0]


def write_kernels(path: Path, machine: str, measured: dict[str, Seconds]) -> None:
    """Adds measurements to the file: written aside and renamed, so it is whole at any moment."""
    since, machines = _read(path)
    since = since or datetime.now().isoformat()
    machines.setdefault(machine, {}).update(measured)
    found = {"version": _VERSION, "since": since, "machines": machines}
    try:
        write_file(path, json.dumps(found, indent=1).encode())
    except OSError as error:
        warnings.warn(
            f"could not keep measured kernels in {path}: {error.strerror or error}; the next "
            "process measures them again",
            KernelFileWarning,
            stacklevel=2,
        )


def _read(path: Path) -> tuple[str, dict[str, dict[str, Seconds]]]:
    """When the file was begun, and by machine what was measured on it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["version"] != _VERSION:
            return "", {}
        return str(found.get("since", "")), {
            str(machine): {
                str(gate): {str(name): float(s) for name, s in seconds.items()}
                for gate, seconds in gates.items()
            }
            for machine, gates in found["machines"].items()
        }
    except FileNotFoundError:
        return "", {}
    except OSError as error:
        reason, kept = error.strerror or str(error), "left as it is"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        damaged = path.with_suffix(".damaged.json")
        kept = f"put aside as {damaged.name}"
        try:
            os.replace(path, damaged)
        except OSError as refused:
            kept = f"left as it is ({refused.strerror or refused})"
    warnings.warn(
        f"could not read measured kernels from {path} ({reason}): {kept}, measuring again",
        KernelFileWarning,
        stacklevel=3,
    )
    return "", {}
