"""Softmax with cross-entropy, over raw scores.

Shapes: N samples, C classes.
"""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from backlit.errors import RecipeError


@final
class CrossEntropy(nn.Module):
    """Softmax cross-entropy: the mean over samples of -log p_y, p = softmax(scores).

    With smoothing e the target is (1 - e) on the right class plus e / C on every class; with
    weights the mean is sum(w_y loss) / sum(w_y). A batch whose targets are all ignored has no
    mean: the loss is NaN.

    Args:
        smoothing: e, from 0 (default) to below 1.
        weights: one weight a class, (C,); default all 1.
        ignore: class number of targets to leave out, default -100.
        class_dim: dimension of the classes in the scores, default 1 as in (N, C) or
            (N, C, H, W); -1 for sequences (N, T, C). Targets have the scores' shape without it.

    Raises:
        RecipeError: smoothing outside [0, 1), or weights that are negative, not finite or all 0.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network
    outputs"; smoothing: Szegedy et al. 2016, "Rethinking the Inception Architecture for
    Computer Vision", section 7.
    """

    weights: Tensor | None

    def __init__(
        self,
        smoothing: float = 0.0,
        weights: Sequence[float] | None = None,
        ignore: int = -100,
        class_dim: int = 1,
    ) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise RecipeError(f"cross_entropy: smoothing must be in [0, 1), got {smoothing!r}")
        values = None if weights is None else [float(weight) for weight in weights]
        if values is not None and not (all(0 <= w < math.inf for w in values) and any(values)):
            raise RecipeError(
                f"cross_entropy: weights must be finite, at least 0 and not all 0, got {values}"
            )
        self.smoothing = smoothing
        self.ignore = ignore
        self.class_dim = class_dim
        self.register_buffer("weights", None if values is None else torch.tensor(values))

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        if self.class_dim != 1:
            scores = scores.movedim(self.class_dim, 1)
        weights = None if self.weights is None else self.weights.to(scores.dtype)
        return cross_entropy(
            scores,
            targets,
            weights,
            ignore_index=self.ignore,
            label_smoothing=self.smoothing,
        )
