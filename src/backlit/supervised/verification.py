"""Whether two pictures show one person: how well features tell."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from backlit.errors import DataError


def verification(features: Tensor, people: Tensor) -> float:
    """The chance that two pictures of one person are more alike than two of different people.

    Alike is the cosine of the angle between their features; equal cosines count half. This is
    the area under the ROC curve over all pairs: 0.5 is guessing, 1 is perfect.

    Args:
        features: (N, F).
        people: integers (N,).
    Raises: DataError where there is no pair of one person, or none of two.

    Source: Hanley & McNeil 1982, "The Meaning and Use of the Area under a ROC Curve", section 3.
    """
    first, second = torch.triu_indices(len(people), len(people), 1)
    unit = normalize(features.double())
    alike = (unit @ unit.T)[first, second]
    same = people[first] == people[second]
    pairs, others = int(same.sum()), int((~same).sum())
    if not pairs or not others:
        raise DataError(
            f"verification: expected pairs of one person and of two, got {pairs} and {others}"
        )
    # Mann-Whitney: the mean rank of the pairs of one person, ties sharing theirs.
    _, place, counts = alike.unique(return_inverse=True, return_counts=True)
    rank = counts.cumsum(0) - (counts - 1) / 2
    total = float(rank[place][same].sum()) - pairs * (pairs + 1) / 2
    return total / (pairs * others)
