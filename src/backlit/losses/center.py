"""Center loss: every class has a centre, and its features gather there.

Shapes: N samples, F features, C classes.
"""

from typing import final

import torch
from torch import Tensor, nn

from backlit.registry import Count


@final
class Center(nn.Module):
    """L = 1/(2N) sum ||x_i - c_(y_i)||^2; added to a softmax loss, weighted by lambda.

    Takes features (N, F) and integer classes (N,). `centers` (C, F) is a parameter, so an
    optimiser moves it with the network; `updated_centers` is the paper's own rule instead.

    Args:
        classes: number of classes C.
        features: length F of a feature vector, default 2 (which can be drawn).

    Source: Wen et al. 2016, "A Discriminative Feature Learning Approach for Deep Face
    Recognition", equation 2 (there a sum, here a mean over the batch).
    """

    def __init__(self, classes: Count, features: Count = 2) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.randn(classes, features))

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        return 0.5 * (features - self.centers[targets]).square().sum(1).mean()

    def updated_centers(self, features: Tensor, targets: Tensor, rate: float = 0.5) -> Tensor:
        """Return c_j - rate sum_(y_i = j) (c_j - x_i) / (1 + n_j), (C, F), without gradient.

        Source: Wen et al. 2016, equations 3 and 4, algorithm 1 step 6.
        """
        centers, features = self.centers.detach(), features.detach()
        counts = torch.zeros(len(centers), dtype=centers.dtype, device=centers.device)
        counts = counts.index_add(0, targets, counts.new_ones(len(targets)))
        away = torch.zeros_like(centers).index_add(0, targets, centers[targets] - features)
        return centers - rate * away / (1 + counts).unsqueeze(1)
