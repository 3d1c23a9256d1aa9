"""Losses for numbers: the quadratic cost, mean squared error (L2) and mean absolute error (L1).

Shapes: N samples; outputs and targets have one shape (N, ...).
"""

from typing import final

from torch import Tensor, nn

from backlit.losses.common import check_reduction, reduce, same_shape


@final
class Quadratic(nn.Module):
    """Quadratic cost: C = 1/(2N) sum ||y - a||^2, whose gradient per sample is (a - y) / N.

    Source: Nielsen 2015, "Neural Networks and Deep Learning", chapter 2, equation 26.
    """

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        same_shape("quadratic", outputs, targets)
        return 0.5 * (outputs - targets).square().flatten(1).sum(1).mean()


@final
class L2(nn.Module):
    """Mean squared error: the mean of (a - y)^2 over every element.

    Args:
        reduction: "mean" (default), "sum" or "none".

    Source: Goodfellow et al. 2016, "Deep Learning", section 5.1.4.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction("l2", reduction)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        same_shape("l2", outputs, targets)
        return reduce((outputs - targets).square(), self.reduction)


@final
class L1(nn.Module):
    """Mean absolute error: the mean of |a - y| over every element; gradient 0 where equal.

    Args:
        reduction: "mean" (default), "sum" or "none".

    Source: Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial
    Networks", equation 3.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction("l1", reduction)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        same_shape("l1", outputs, targets)
        return reduce((outputs - targets).abs(), self.reduction)
