"""Hinge losses: right by a margin is right enough; and the weights' regularisation beside them.

Shapes: N samples, C classes.
"""

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from backlit.losses.common import same_shape


@final
class MulticlassHinge(nn.Module):
    """Multiclass SVM loss: mean over samples of sum over j != y of max(0, s_j - s_y + margin).

    Takes raw scores (N, C) and integer classes (N,).

    Args:
        margin: by how much the right score must lead, default 1.

    Source: Weston & Watkins 1999, "Support vector machines for multi-class pattern
    recognition", section 2.
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        right = scores.gather(1, targets.unsqueeze(1))  # (N, 1)
        classes = torch.arange(scores.shape[1], device=scores.device)
        others = (classes != targets.unsqueeze(1)).to(scores.dtype)  # (N, C)
        return (relu(scores - right + self.margin) * others).sum(1).mean()


@final
class BinaryHinge(nn.Module):
    """Binary SVM loss: the mean of max(0, 1 - t s) with t = 2 target - 1.

    Takes raw scores and targets 0 or 1 of one shape.

    Source: Cortes & Vapnik 1995, "Support-vector networks".
    """

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        same_shape("binary_hinge", scores, targets)
        return relu(1 - (2 * targets.to(scores.dtype) - 1) * scores).mean()


def l1_regularisation(parameters: Iterable[Tensor]) -> Tensor:
    """Return sum |w| over all parameters (0-d), to be added to a data loss.

    Source: Tibshirani 1996, "Regression shrinkage and selection via the lasso".
    """
    return torch.stack([w.abs().sum() for w in parameters]).sum()


def l2_regularisation(parameters: Iterable[Tensor]) -> Tensor:
    """Return sum w^2 over all parameters (0-d): R(W) in total loss = data loss + lambda R(W).

    Source: Hoerl & Kennard 1970, "Ridge regression".
    """
    return torch.stack([w.square().sum() for w in parameters]).sum()
