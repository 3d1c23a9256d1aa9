"""What a command line names: an object of a Python module, or a run folder."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from backlit.errors import BacklitError


def load_target(
    name: str, batch: int = 8, inputs: tuple[Any, ...] = ()
) -> tuple[Any, tuple[Any, ...]]:
    """Return what `name` stands for and its inputs.

    Args:
        name: a run folder, or MODULE:OBJECT with MODULE a dotted name or a .py file. OBJECT is
            a graph, a gate, a tuple ``(module or function, *inputs)``, or a function without
            arguments that returns one of these.
        batch: pictures taken of a run's next step.
        inputs: for an object that needs inputs and stands without.

    Raises:
        BacklitError: no such folder, module or object; or an object that needs inputs.
        RunError: a folder that is no run.
    """
    path = Path(name)
    if path.is_dir():
        return _run(path, batch)
    module, colon, attribute = name.rpartition(":")
    if not colon or not module or not attribute:
        raise BacklitError(f"expected MODULE:OBJECT or a run folder, got '{name}'")
    found: Any = _module(module)
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = ", ".join(n for n in vars(found) if not n.startswith("_"))
            raise BacklitError(f"{module} has no '{part}'; it has: {names}")
        found = getattr(found, part)
    if inspect.isfunction(found) and not inspect.signature(found).parameters:
        found = found()
    if isinstance(found, tuple) and found:
        return found[0], found[1:]
    if callable(found) and not isinstance(found, type) and not hasattr(found, "gm"):
        if inputs:
            return found, inputs
        raise BacklitError(
            f"{name}: expected inputs beside the {type(found).__name__}; "
            "name a tuple (network, *inputs), or a function without arguments that returns one"
        )
    return found, ()


def _module(name: str) -> Any:
    path = Path(name)
    if path.suffix == ".py":
        if not path.is_file():
            raise BacklitError(f"expected a Python file, found none at {path}")
        folder, name = str(path.resolve().parent), path.stem
    else:
        folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0] and not str(error.name).startswith(name):
            raise  # it was found, and itself imports something that is missing
        raise BacklitError(f"expected a module, found none named '{name}'") from None
    finally:
        sys.path.remove(folder)


def _run(path: Path, batch: int) -> tuple[Any, tuple[Any, ...]]:
    """What a run trains, where its last checkpoint stands, and the next step's batch."""
    from backlit import train as room

    report = room.reporter()
    found, given, step = room.open_step(path, batch, lambda step, reason: report.say(reason))
    return found, (given, step)
