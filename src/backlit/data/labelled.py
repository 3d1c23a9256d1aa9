"""Samples with targets, split into parts: what a supervised training run is given.

Shapes: N samples, then whatever one sample has: C H W of a picture, F of a table's row, T of a
sequence (of tokens, int64) or T F (of numbers).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from backlit.data.sampling import order
from backlit.errors import DataError

Part: TypeAlias = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@final
@dataclass(frozen=True, eq=False, repr=False)
class Labelled:
    """Inputs and targets of one data set, and which samples are for what.

    Args:
        name: of the set.
        inputs: (N, ...), float32; tokens are int64 (N, T).
        targets: int64 (N,) numbers of classes, int64 (N, T) next tokens, or float32 (N, K).
        classes: names of the classes, or the vocabulary; empty where targets are numbers.
        train, validation, test: int64 indices into N, sharing none; validation and test may be
            empty.
        facts: what was done to the data, one sentence each: filled, dropped, scaled.
        lengths: int64 (N,), how many of the T steps of a sequence count; None if all do.
        mean, std: what `inputs` were standardised with, to be broadcast over a sample:
            raw = inputs * std + mean; None where they were not.
        target_mean, target_std: likewise of the targets, in the targets' own unit.
        columns: names of the F features, where they have names.
        names: one name for each sample, or empty.
    """

    name: str
    inputs: Tensor
    targets: Tensor
    classes: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor
    facts: tuple[str, ...] = ()
    lengths: Tensor | None = None
    mean: Tensor | None = None
    std: Tensor | None = None
    target_mean: float = 0.0
    target_std: float = 1.0
    columns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.inputs)
        if len(self.targets) != n:
            raise DataError(
                f"{self.name}: expected one target for each of the {n} inputs,"
                f" got {len(self.targets)} targets"
            )
        parts = torch.cat([self.part(part) for part in PARTS])
        if len(parts) and not 0 <= int(parts.min()) <= int(parts.max()) < n:
            raise DataError(
                f"{self.name}: expected indices of 0..{n - 1} in train, validation and test, got"
                f" {int(parts.min())}..{int(parts.max())}"
            )
        if len(parts.unique()) != len(parts):
            raise DataError(
                f"{self.name}: expected each sample in one of train, validation and test,"
                f" {len(parts) - len(parts.unique())} are in two; give parts that share none"
            )
        if not len(self.train):
            raise DataError(f"{self.name}: expected at least 1 sample to train on, got 0 of {n}")
        if self.classes and n and not self._in_classes():
            raise DataError(
                f"{self.name}: expected targets of 0..{len(self.classes) - 1} (there are"
                f" {len(self.classes)} classes), got {int(self.targets.min())}.."
                f"{int(self.targets.max())}"
            )

    def _in_classes(self) -> bool:
        return 0 <= int(self.targets.min()) and int(self.targets.max()) < len(self.classes)

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.inputs.shape[1:])
        classes = f", {len(self.classes)} classes" if self.classes else ""
        parts = ", ".join(f"{len(self.part(part))} {part}" for part in PARTS)
        return f"Labelled({self.name}: {len(self)} of {shape or 'scalars'}{classes}; {parts})"

    def part(self, part: Part) -> Tensor:
        """The indices of "train", "validation" or "test", int64."""
        if part not in PARTS:
            raise DataError(f"part: expected one of {', '.join(PARTS)}; got {part!r}")
        return getattr(self, part)

    def batch(self, indices: Tensor | Sequence[int] | np.ndarray) -> tuple[Tensor, Tensor]:
        """Inputs (B, ...) and targets (B, ...) of the chosen samples, copied."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        return self.inputs[chosen], self.targets[chosen]

    @property
    def mask(self) -> Tensor | None:
        """Bool (N, T), true where a step of a sequence counts; None if all do."""
        if self.lengths is None:
            return None
        return torch.arange(self.inputs.shape[1]) < self.lengths[:, None]  # (N, T)

    @property
    def class_counts(self) -> dict[str, int]:
        """Samples of each class, in all parts together; empty unless a sample has one class."""
        if not self.classes or self.targets.ndim != 1:
            return {}
        counts = torch.bincount(self.targets, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, counts, strict=True))


def split(
    n: int,
    validation: float,
    test: float,
    seed: int,
    labels: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Part 0..n-1 by chance, every class in proportion.

    Each class is shuffled and its k-th of m members stands at (k + 1/2) / m of the way; the first
    `test` of all samples by that place are the test part, the next `validation` the validation
    part. The last member of each class stands at the end, so that a class of one is trained on.

    Args:
        n: number of samples.
        validation, test: shares of them, each at least 0, together at most 0.5.
        seed: decides who goes where; the same on every machine.
        labels: int64 (n,) classes; None treats all alike.

    Returns:
        Sorted int64 indices of train, validation and test.

    Raises:
        DataError: a share that is not allowed.
    """
    check_shares(validation, test)
    shuffled = order(n, seed, 0)
    kinds = np.zeros(n, np.int64) if labels is None else labels.numpy()[shuffled]
    place = np.empty(n)
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[-1:]] = 1
    # Stable: members of classes of one size, at one place, stay in the shuffled order.
    queue = shuffled[np.argsort(place, kind="stable")]
    first, second = round(n * test), round(n * test) + round(n * validation)
    parts = queue[second:], queue[first:second], queue[:first]
    train, held, tested = (torch.from_numpy(np.sort(part)) for part in parts)
    return train, held, tested


def check_shares(validation: float, test: float) -> None:
    """DataError unless both are at least 0 and leave half to train on."""
    if not (0 <= validation and 0 <= test and validation + test <= 0.5):
        raise DataError(
            f"expected shares of at least 0, together at most 0.5, for validation and test;"
            f" got {validation} and {test}"
        )


def standardise(
    inputs: Tensor, train: Tensor, axes: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs less the mean of the training part, over its standard deviation.

    Args:
        inputs: float32 or float64 (N, ...).
        train: indices of the training part.
        axes: over which the figures are taken, 0 among them.

    Returns:
        float32 (inputs - mean) / std, mean and std; std is 1 where the training part is constant.
    """
    seen = inputs[train]
    mean = seen.mean(axes, keepdim=True)
    std = seen.std(axes, correction=0, keepdim=True)
    std = torch.where(std > 1e-12 * (1 + mean.abs()), std, 1)
    scaled = (inputs - mean).div_(std)  # in place: 70,000 pictures are 220 MB a copy
    return scaled.float(), mean[0].float(), std[0].float()
