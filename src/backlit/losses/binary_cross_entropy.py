"""Sigmoid with cross-entropy, over raw scores."""

import math
from typing import final

from torch import Tensor, nn
from torch.nn.functional import softplus

from backlit.errors import RecipeError
from backlit.losses.common import check_reduction, reduce, same_shape


@final
class BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy of raw scores s and targets t in [0, 1].

    w t softplus(-s) + (1 - t) softplus(s)  =  -w t log p - (1 - t) log(1 - p),  p = sigmoid(s).
    Targets have the scores' shape, or lack its last dimension of 1.

    Args:
        positive_weight: w, above 1 where positive samples are rare; default 1.
        reduction: "mean" (default), "sum" or "none".

    Raises:
        RecipeError: a weight that is not positive and finite, or an unknown reduction.
        DataError: targets of another shape.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", equation 4.90.
    """

    def __init__(self, positive_weight: float = 1.0, reduction: str = "mean") -> None:
        super().__init__()
        if not 0 < positive_weight < math.inf:
            raise RecipeError(
                "binary_cross_entropy: positive_weight must be positive and finite, "
                f"got {positive_weight!r}"
            )
        self.positive_weight = positive_weight
        self.reduction = check_reduction("binary_cross_entropy", reduction)

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        if scores.dim() == targets.dim() + 1 and scores.shape[-1] == 1:
            targets = targets.unsqueeze(-1)
        same_shape("binary_cross_entropy", scores, targets)
        targets = targets.to(scores.dtype)
        positive = self.positive_weight * targets * softplus(-scores)
        return reduce(positive + (1 - targets) * softplus(scores), self.reduction)
