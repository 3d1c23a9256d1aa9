"""Inputs and targets as tensors, with what a run must know of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from backlit.errors import DataError


@final
@dataclass(frozen=True, eq=False)
class Samples:
    """A data set in memory.

    Args:
        name: what it is called in a run's record.
        x: inputs (N, ...).
        y: targets (N, ...).
        classes: names of the classes, in the order of their numbers; empty where y is none.
        inputs: further inputs of the network by the name of its argument, (N, ...).
    Raises: DataError where there are not as many of each, or a class number has no name.
    """

    name: str
    x: Tensor
    y: Tensor
    classes: tuple[str, ...] = ()
    inputs: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = {name: len(t) for name, t in self._all().items()}
        if len(set(counts.values())) > 1 or not counts["x"]:
            raise DataError(
                f"{self.name}: expected the same number of each, at least 1, got {counts}"
            )
        if self.classes and not self.y.is_floating_point():
            low, high = int(self.y.min()), int(self.y.max())
            if low < 0 or high >= len(self.classes):
                raise DataError(
                    f"{self.name}: expected class numbers 0..{len(self.classes) - 1} for "
                    f"{len(self.classes)} classes, got {low}..{high}"
                )

    def __len__(self) -> int:
        return len(self.x)

    def _all(self) -> dict[str, Tensor]:
        return {"x": self.x, **self.inputs, "y": self.y}

    @cached_property
    def key(self) -> str:
        """sha256 over all tensors: which data these are."""
        found = hashlib.sha256()
        for name, tensor in self._all().items():
            found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def batch(self, indices: ArrayLike) -> dict[str, Tensor]:
        """The chosen samples, as `Supervised.step` takes them.

        Args:
            indices: integers (B,).
        """
        chosen = torch.from_numpy(np.asarray(indices, np.int64))
        return {name: tensor[chosen] for name, tensor in self._all().items()}

    def subset(self, indices: ArrayLike, name: str = "") -> Samples:
        """The chosen samples as a set of their own.

        Args:
            indices: integers (M,).
            name: its name; default this one's.
        """
        chosen = self.batch(indices)
        x, y = chosen.pop("x"), chosen.pop("y")
        return replace(self, name=name or self.name, x=x, y=y, inputs=chosen)

    def split(self, fraction: float = 0.1, seed: int = 0) -> tuple[Samples, Samples]:
        """A part for training and a part for validation, drawn at random.

        Args:
            fraction: share of the second part, default 0.1; at least one sample is in each.
            seed: decides the draw.
        Raises: DataError for a fraction outside (0, 1), or fewer than 2 samples.
        """
        n = len(self)
        if not 0 < fraction < 1 or n < 2:
            raise DataError(
                f"split: expected a fraction in (0, 1) and at least 2 samples, got {fraction}, {n}"
            )
        keys = np.random.PCG64(np.random.SeedSequence([seed, 1])).random_raw(n)
        order = np.argsort(keys, kind="stable")
        held = min(max(round(n * fraction), 1), n - 1)
        parts = np.sort(order[held:]), np.sort(order[:held])
        return (
            self.subset(parts[0], f"{self.name}, training part"),
            self.subset(parts[1], f"{self.name}, validation part"),
        )
