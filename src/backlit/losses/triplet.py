"""Triplet losses: nearer to one's own kind than to others, by a margin.

Shapes: N samples, E components of an embedding.
"""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from backlit.losses.common import same_shape


@final
class Triplet(nn.Module):
    """Mean of max(0, ||a - p||^2 - ||a - n||^2 + margin) over given triplets, each (N, E).

    Args:
        margin: default 0.2.

    Raises:
        DataError: embeddings of different shapes.

    Source: Schroff et al. 2015, "FaceNet: A Unified Embedding for Face Recognition and
    Clustering", section 3.1.
    """

    def __init__(self, margin: float = 0.2) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        same_shape("triplet", anchor, positive)
        same_shape("triplet", anchor, negative)
        near = (anchor - positive).square().sum(-1)
        far = (anchor - negative).square().sum(-1)
        return relu(near - far + self.margin).mean()


@final
class BatchHardTriplet(nn.Module):
    """Triplet loss with each anchor's farthest positive and nearest negative of the batch.

    Mean over anchors of max(0, max_p ||a - p|| - min_n ||a - n|| + margin); takes embeddings
    (N, E) and integer classes (N,). Anchors alone in their class, or without another class in
    the batch, are left out; with none left the loss is 0.

    Args:
        margin: default 0.2.

    Source: Hermans et al. 2017, "In Defense of the Triplet Loss for Person
    Re-Identification", equation 5.
    """

    def __init__(self, margin: float = 0.2) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        between = embeddings.unsqueeze(1) - embeddings.unsqueeze(0)  # (N, N, E)
        # The root of 0 has no gradient: equal embeddings stop at 1e-6 instead.
        distance = between.square().sum(-1).clamp(min=1e-12).sqrt()  # (N, N)
        same = targets.unsqueeze(1) == targets.unsqueeze(0)
        itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
        positive = same & ~itself
        farthest = distance.masked_fill(~positive, 0.0).amax(1)
        nearest = distance.masked_fill(same, torch.finfo(distance.dtype).max).amin(1)
        usable = positive.any(1) & (~same).any(1)
        # Masked before the difference: the largest float must not meet a gradient.
        losses = relu(farthest - nearest.masked_fill(~usable, 0.0) + self.margin)
        return (losses * usable).sum() / usable.sum().clamp(min=1)
