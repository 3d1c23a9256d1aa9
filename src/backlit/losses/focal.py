"""Focal loss: cross-entropy that looks away from what is already easy."""

from typing import final

from torch import Tensor, nn
from torch.nn.functional import softplus

from backlit.errors import RecipeError
from backlit.losses.common import REDUCTIONS, check_reduction, reduce, same_shape


@final
class Focal(nn.Module):
    """Focal loss of raw scores and targets 0 or 1: -alpha_t (1 - p_t)^gamma log(p_t).

    p_t = sigmoid(s) where the target is 1, else 1 - sigmoid(s); alpha_t = alpha or 1 - alpha.
    Written as exp(-gamma softplus(s_t)) softplus(-s_t), s_t = +-s, which stays finite.

    Args:
        gamma: how strongly easy samples are played down, at least 0; default 2.
        alpha: weight of positives in [0, 1], default 0.25; None weights both sides 1.
        reduction: "mean" (default), "sum", "none", or "positives": the sum divided by the
            number of positive targets, or by 1 where there are none (the paper's, over anchors).

    Raises:
        RecipeError: gamma, alpha or the reduction not allowed.
        DataError: targets of another shape.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5.
    """

    def __init__(
        self, gamma: float = 2.0, alpha: float | None = 0.25, reduction: str = "mean"
    ) -> None:
        super().__init__()
        if not gamma >= 0:
            raise RecipeError(f"focal: gamma must be at least 0, got {gamma!r}")
        if alpha is not None and not 0 <= alpha <= 1:
            raise RecipeError(f"focal: alpha must be in [0, 1] or None, got {alpha!r}")
        self.gamma = gamma
        self.alpha = alpha
        self.reduction = check_reduction("focal", reduction, (*REDUCTIONS, "positives"))

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        same_shape("focal", scores, targets)
        targets = targets.to(scores.dtype)
        signed = (2 * targets - 1) * scores
        losses = (-self.gamma * softplus(signed)).exp() * softplus(-signed)
        if self.alpha is not None:
            losses = (self.alpha * targets + (1 - self.alpha) * (1 - targets)) * losses
        if self.reduction == "positives":
            return losses.sum() / targets.sum().clamp(min=1)
        return reduce(losses, self.reduction)
