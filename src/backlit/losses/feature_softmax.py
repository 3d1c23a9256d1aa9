"""Softmax over features, alone or with center loss beside it.

Shapes: N samples, F features, C classes; features (N, F), integer classes (N,).
"""

from typing import final

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from backlit.errors import RecipeError
from backlit.losses.center import Center
from backlit.registry import Count


@final
class FeatureSoftmax(nn.Module):
    """L = cross-entropy of W x + b, plus `center` times the center loss of x.

    The last layer W, b is the loss's own, as in the angular losses, so that the network ends in
    features; `scores` are for predicting.

    Args:
        classes: number of classes C.
        features: length F of a feature vector, default 2.
        center: lambda, the center loss's weight; default 0, softmax alone.

    Raises:
        RecipeError: a negative weight.

    Source: Wen et al. 2016, "A Discriminative Feature Learning Approach for Deep Face
    Recognition", equation 5.
    """

    def __init__(self, classes: Count, features: Count = 2, center: float = 0.0) -> None:
        super().__init__()
        if not center >= 0:
            raise RecipeError(f"feature_softmax: center must be at least 0, got {center!r}")
        self.weight_of_center = center
        self.layer = nn.Linear(features, classes)
        self.gather = Center(classes, features) if center else None

    def scores(self, features: Tensor) -> Tensor:
        """Return scores (N, C)."""
        return self.layer(features)

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        loss = cross_entropy(self.layer(features), targets)
        if self.gather is not None:
            loss = loss + self.weight_of_center * self.gather(features, targets)
        return loss
