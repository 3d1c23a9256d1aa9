"""The run folder: one process at a time, one recipe for good."""

import fcntl
import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from backlit.errors import RecipeError, RunError
from backlit.train.checkpoint import Checkpoints
from backlit.train.files import remove_leftovers, write_whole
from backlit.train.load import load_recipe
from backlit.train.log import RunLog
from backlit.train.sections import free_keys
from backlit.train.toml import dumps

_OURS = ("recipe.toml", "run.db", ".lock", "checkpoints", "samples", ".recipe.toml")


class RunFolder:
    """A run's folder, held by this process while entered.

    Args:
        path: the folder; made where it is missing.

    Attributes:
        path: the folder.
        log: its run.db.
        checkpoints: its checkpoints.
        samples: its folder of picture grids.
        picture: its final grid or curves, final.png.
        scores: the scores of supervised training, scores.json.

    Raises:
        RunError: another process trains in it, it holds other things, or it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        self.samples = self.path / "samples"
        self.picture = self.path / "final.png"
        self.scores = self.path / "scores.json"
        self.recipe = self.path / "recipe.toml"

    def __enter__(self) -> "RunFolder":
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_others()
            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.samples.mkdir(exist_ok=True)
                self.checkpoints.folder.mkdir(exist_ok=True)
                remove_leftovers(self.path)
                remove_leftovers(self.samples)
                self.checkpoints.clean()
                self.log = RunLog(self.path / "run.db")
            except BaseException:
                os.close(self._lock)
                raise
        except BlockingIOError:
            raise RunError(
                f"another process is training in {self.path}; expected one at a time: wait for it, "
                "stop it, or choose another folder"
            ) from None
        except OSError as error:
            raise RunError(
                f"could not open the run folder {self.path}: {error.strerror or error}; expected a "
                "folder that can be made and written"
            ) from error
        return self

    def __exit__(self, *error: object) -> None:
        self.log.close()
        os.close(self._lock)

    def agree(self, recipe: Mapping[str, Any]) -> None:
        """Write recipe.toml, or compare it with the one there.

        Raises:
            RunError: the folder belongs to another recipe; the text names each key that differs.
        """
        text = dumps(recipe)
        found = self.recipe.exists()
        if found:
            recorded = read_recipe(self.path)
            # Keys that recipes have got since stand at their defaults: as it ran.
            with suppress(RecipeError):  # made from Python, or of keys no longer known
                recorded = tomllib.loads(load_recipe(self.recipe).text())
            free = free_keys(recorded)
            changed = compare(recorded, tomllib.loads(text), free)
            if changed:
                more = " (train.steps may be raised)" if "train.steps" in free else ""
                raise RunError(
                    f"{self.path} belongs to another recipe: {'; '.join(changed)}; choose another "
                    f"folder with --run, or ask for the recorded values{more}"
                )
        if not found or self.recipe.read_text(encoding="utf-8") != text:
            write_whole(self.recipe, text.encode(), "recipe")

    def _refuse_others(self) -> None:
        if self.recipe.exists():
            return
        others = sorted(p.name for p in self.path.iterdir() if not p.name.startswith(_OURS))
        if others:
            raise RunError(
                f"{self.path} is not a run folder: expected recipe.toml or an empty folder, found "
                f"{', '.join(others[:3])}{' ...' if len(others) > 3 else ''}; choose another --run"
            )


def read_recipe(run: Path) -> dict[str, Any]:
    """Return a run's recipe.toml as a table.

    Raises:
        RunError: there is none, or it is damaged.
    """
    path = Path(run) / "recipe.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise RunError(f"{run} is not a run folder: expected {path}, found no such file") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}; bring it back from a copy") from error


def compare(
    recorded: Mapping[str, Any], asked: Mapping[str, Any], free: frozenset[str] = frozenset()
) -> list[str]:
    """Return "key is A there, B asked for" for each leaf that differs and is not free."""
    before, now = _leaves(recorded), _leaves(asked)
    missing = "missing"
    return [
        f"{key} is {before.get(key, missing)!r} there, {now.get(key, missing)!r} asked for"
        for key in sorted(before.keys() | now.keys())
        if key not in free and before.get(key, missing) != now.get(key, missing)
    ]


def _leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            leaves |= _leaves(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
