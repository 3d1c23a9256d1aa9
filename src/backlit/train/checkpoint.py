"""Checkpoints: a safetensors file and, written after it, the JSON that makes it count."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from backlit.errors import RunError
from backlit.train import faults
from backlit.train.files import remove_leftovers, sync_folder, write_whole

_NAME = re.compile(r"step-(\d{8,})\.json")


@dataclass(frozen=True)
class Checkpoint:
    """One saved state.

    Attributes:
        step: number of finished steps.
        state: flat name -> tensor on the CPU.
        facts: what was saved beside it: seed, environment, identity and, where a metric was
            named to judge by, score ({"name", "value"}).
    """

    step: int
    state: dict[str, Tensor]
    facts: dict[str, Any]


class DamagedCheckpoint(RunError):
    """A checkpoint whose files are missing, cut short or changed."""


class Checkpoints:
    """The folder of a run's checkpoints: the two last and the best are kept.

    A checkpoint counts from the moment its JSON stands under its final name; the tensors stand
    there before it. "Best" is the lowest score; without scores only the two last are kept, since
    the losses of a GAN do not rank its pictures.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Return the steps of all checkpoints that count, ascending."""
        matches = (_NAME.fullmatch(path.name) for path in self.folder.glob("step-*.json"))
        return sorted(int(match[1]) for match in matches if match)

    def best(self) -> int | None:
        """Return the step with the lowest score (the later of equals); None without scores."""
        scores = {step: self._score(step) for step in self.steps()}
        known = [(score, -step) for step, score in scores.items() if score is not None]
        return -min(known)[1] if known else None

    def save(self, step: int, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Save a state; a kill at any moment leaves it whole or the one before it.

        Raises:
            RunError: the disk is full or refuses; the checkpoints before it are intact.
        """
        # The copy to fresh CPU memory lets tensors that share memory be saved apart.
        apart = {
            name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()
        }
        tensors = safetensors.torch.save(apart)
        description = {
            "step": step,
            "sha256": hashlib.sha256(tensors).hexdigest(),
            "bytes": len(tensors),
            **facts,
        }
        text = json.dumps(description, indent=1) + "\n"
        # An older checkpoint of this step stops counting before its tensors are replaced.
        self._remove(self._json(step))
        write_whole(self._tensors(step), tensors, "checkpoint.tensors")
        write_whole(self._json(step), text.encode(), "checkpoint.json")
        self._prune()

    def load(self, step: int) -> Checkpoint:
        """Return the checkpoint of a step, its sha256 verified.

        Raises:
            RunError: there is none of this step (those there are listed).
            DamagedCheckpoint: its files are damaged; the text says how.
        """
        if step not in self.steps():
            steps = ", ".join(map(str, self.steps())) or "none"
            raise RunError(f"no checkpoint of step {step} in {self.folder}; there are: {steps}")
        try:
            facts = json.loads(self._json(step).read_bytes())
            tensors = self._tensors(step).read_bytes()
            if facts["step"] != step:
                raise DamagedCheckpoint(f"{self._json(step)} says step {facts['step']}")
            if hashlib.sha256(tensors).hexdigest() != facts["sha256"]:
                raise DamagedCheckpoint(
                    f"{self._tensors(step)} is damaged: expected {facts['bytes']:,} bytes of the "
                    f"recorded sha256, got {len(tensors):,} bytes of another"
                )
            return Checkpoint(step, safetensors.torch.load(tensors), facts)
        except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
            reason = f"{type(error).__name__}: {error}".replace("\n", " ")
            raise DamagedCheckpoint(
                f"the checkpoint {self._json(step)} cannot be read: {reason}"
            ) from error

    def load_last(self, damaged: Callable[[int, str], None]) -> Checkpoint | None:
        """Return the newest checkpoint that is whole; None where there is none at all.

        Args:
            damaged: called with the step and the reason for each newer one that is not.

        Raises:
            RunError: there are checkpoints, and every one is damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                return self.load(step)
            except DamagedCheckpoint as error:
                damaged(step, str(error))
        if steps:
            raise RunError(
                f"every checkpoint in {self.folder} is damaged (steps "
                f"{', '.join(map(str, steps))}); expected at least one whole: bring one back "
                "from a copy, or start in another folder"
            )
        return None

    def put_aside(self, step: int) -> None:
        """Rename a damaged checkpoint's files to *.damaged, out of the way but not lost."""
        for path in (self._json(step), self._tensors(step)):
            if path.exists():
                path.replace(path.with_name(f"{path.name}.damaged"))
        sync_folder(self.folder)

    def clean(self) -> None:
        """Remove what a kill left behind: files written aside, tensors without their JSON."""
        remove_leftovers(self.folder)
        known = {self._tensors(step) for step in self.steps()}
        for path in self.folder.glob("step-*.safetensors"):
            if path not in known:
                path.unlink()

    def _prune(self) -> None:
        kept = {*self.steps()[-2:], self.best()}
        for step in self.steps():
            if step not in kept:
                self._remove(self._json(step))
                faults.reach("checkpoint.prune")
                self._remove(self._tensors(step))

    def _remove(self, path: Path) -> None:
        if path.exists():
            path.unlink()
            sync_folder(self.folder)

    def _score(self, step: int) -> float | None:
        try:
            score = json.loads(self._json(step).read_bytes()).get("score")
            return None if score is None else float(score["value"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # a damaged JSON has no score; loading it says so

    def _json(self, step: int) -> Path:
        return self.folder / f"step-{step:08}.json"

    def _tensors(self, step: int) -> Path:
        return self.folder / f"step-{step:08}.safetensors"
