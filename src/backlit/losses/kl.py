"""How far one distribution is from another.

Shapes: N samples, C classes.
"""

import math
from typing import final

from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax

from backlit.errors import RecipeError
from backlit.losses.common import same_shape


@final
class KLDivergence(nn.Module):
    """KL(p || q) = sum p log(p / q), a mean over samples; q = softmax(scores / temperature).

    Takes raw scores (N, C) and target probabilities (N, C) that sum to 1; 0 log 0 counts as 0.

    Args:
        temperature: softens q, above 0; default 1 (distillation uses more).

    Raises:
        RecipeError: a temperature that is not positive and finite.
        DataError: targets of another shape.

    Source: Kullback & Leibler 1951, "On information and sufficiency", section 2; temperature:
    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", equation 1.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise RecipeError(f"kl: temperature must be positive and finite, got {temperature!r}")
        self.temperature = temperature

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        same_shape("kl", scores, targets)
        return kl_div(log_softmax(scores / self.temperature, 1), targets, reduction="batchmean")
