"""Scores of a classifier: accuracy, precision, recall, F1, the confusion matrix.

Shapes: N samples, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from backlit.errors import DataError


@final
@dataclass(frozen=True)
class ClassScores:
    """One class: support is the number of samples that are of it.

    precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN); each 0
    where its divisor is 0.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@final
@dataclass(frozen=True)
class Scores:
    """All of a classifier's scores.

    Attributes:
        accuracy: share of right answers.
        macro_f1: mean of the classes' F1 (of those that occur, in truth or prediction).
        weighted_f1: the same weighted by support.
        classes: each class's own scores.
        confusion: [i][j] counts samples of class i that were taken for class j.
    """

    accuracy: float
    macro_f1: float
    weighted_f1: float
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
            "classes": {
                c.name: {
                    "precision": c.precision,
                    "recall": c.recall,
                    "f1": c.f1,
                    "support": c.support,
                }
                for c in self.classes
            },
            "confusion": [list(row) for row in self.confusion],
        }

    def __str__(self) -> str:
        width = max(len("class"), *(len(c.name) for c in self.classes))
        lines = [
            f"accuracy {self.accuracy:.4f}  macro F1 {self.macro_f1:.4f}  "
            f"weighted F1 {self.weighted_f1:.4f}",
            f"{'class':{width}}  precision  recall  F1      samples",
        ]
        lines += [
            f"{c.name:{width}}  {c.precision:.4f}     {c.recall:.4f}  {c.f1:.4f}  {c.support}"
            for c in self.classes
        ]
        return "\n".join(lines)


def classifier_scores(truth: Tensor, predicted: Tensor, classes: Sequence[str] = ()) -> Scores:
    """Scores of predictions.

    Args:
        truth, predicted: integer classes of one shape; N at least 1.
        classes: names by number; default "0", "1", ... up to the largest number seen.
    Raises: DataError for other shapes, no sample, or a number outside the classes.

    Source: van Rijsbergen 1979, "Information Retrieval", chapter 7 (F1 = 1 - E).
    """
    if truth.shape != predicted.shape or not truth.numel():
        raise DataError(
            f"expected truth and predictions of one shape, at least 1, got {tuple(truth.shape)}, "
            f"{tuple(predicted.shape)}"
        )
    truth, predicted = truth.flatten().long(), predicted.flatten().long()
    low = int(torch.minimum(truth, predicted).min())
    high = int(torch.maximum(truth, predicted).max())
    names = list(classes) or [str(i) for i in range(high + 1)]
    n = len(names)
    if low < 0 or high >= n:
        raise DataError(f"expected classes 0..{n - 1}, got {low}..{high}")
    confusion = torch.bincount(truth * n + predicted, minlength=n * n).reshape(n, n)
    right, support = confusion.diagonal(), confusion.sum(1)
    taken = confusion.sum(0)
    f1 = _ratio(2 * right, support + taken)
    precision, recall = _ratio(right, taken), _ratio(right, support)
    occurs = support + taken > 0
    return Scores(
        accuracy=float(right.sum().double() / support.sum()),
        macro_f1=float(f1[occurs].mean()),
        weighted_f1=float((f1 * support).sum() / support.sum()),
        classes=tuple(
            ClassScores(name, float(p), float(r), float(f), int(count))
            for name, p, r, f, count in zip(names, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def balanced_weights(y: Tensor, classes: int) -> list[float]:
    """A weight for each class, N / (C · count), for ``cross_entropy``'s `weights`.

    Args:
        y: integer classes (N, ...).
        classes: C; a class that does not occur gets 0.

    Source: King & Zeng 2001, "Logistic Regression in Rare Events Data".
    """
    counts = torch.bincount(y.flatten(), minlength=classes)
    return [y.numel() / (classes * n) if n else 0.0 for n in counts.tolist()]


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    return above.double() / below.clamp(min=1)
