"""Softmax losses with an angular margin, for recognising faces: SphereFace, CosFace, ArcFace.

Each keeps one direction W_j a class and compares only angles: cos(theta_j) = W_j.x / (|W_j||x|).
The margin makes the right class harder in training; `scores` without it are for predicting.
Shapes: N samples, F features, C classes; features (N, F), integer classes (N,).
"""

import math
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from backlit.errors import RecipeError
from backlit.registry import Count


class AngularMargin(nn.Module, ABC):
    """Cross-entropy over scale cos(theta_j), the right class's cosine lowered by a margin.

    Args:
        classes: number of classes C.
        features: length F of a feature vector.
    """

    def __init__(self, classes: Count, features: Count) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        nn.init.xavier_normal_(self.weight)

    def cosines(self, features: Tensor) -> Tensor:
        """Return cos(theta_j) of every feature vector with every class, (N, C)."""
        return linear(_unit(features), _unit(self.weight))

    @abstractmethod
    def lowered(self, cosine: Tensor) -> Tensor:
        """Return what the right class's cosine (N, 1) becomes under the margin."""

    @abstractmethod
    def scale(self, features: Tensor) -> Tensor | float:
        """Return what multiplies every cosine."""

    def scores(self, features: Tensor) -> Tensor:
        """Return scores (N, C) without margin."""
        return self.scale(features) * self.cosines(features)

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        cosines = self.cosines(features)
        index = targets.unsqueeze(1)
        lowered = self.lowered(cosines.gather(1, index))  # (N, 1)
        right = torch.arange(cosines.shape[1], device=cosines.device) == index  # (N, C)
        return cross_entropy(self.scale(features) * torch.where(right, lowered, cosines), targets)


def _unit(vectors: Tensor) -> Tensor:
    # A vector of zeros stays one; `normalize` would multiply its gradient by 1e12.
    length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / torch.where(length == 0, torch.ones_like(length), length)


@final
class SphereFace(AngularMargin):
    """Multiplied angle: |x| psi(theta), psi = (-1)^k cos(m theta) - 2k on [k pi/m, (k+1) pi/m].

    Args:
        classes: number of classes C.
        features: length F of a feature vector, default 2.
        margin: m, a whole number from 1 to 4; default 4.
        softness: lambda; the right class gets (lambda cos(theta) + psi) / (1 + lambda).
            Default 0 (psi alone); training starts more easily from about 5.

    Raises:
        RecipeError: a margin or softness that is not allowed.

    Source: Liu et al. 2017, "SphereFace: Deep Hypersphere Embedding for Face Recognition",
    equations 6 and 7; softness: its predecessor, Liu et al. 2016, "Large-Margin Softmax Loss
    for Convolutional Neural Networks".
    """

    def __init__(
        self, classes: Count, features: Count = 2, margin: int = 4, softness: float = 0.0
    ) -> None:
        super().__init__(classes, features)
        if margin not in (1, 2, 3, 4):
            raise RecipeError(f"sphereface: margin must be 1, 2, 3 or 4, got {margin!r}")
        if not softness >= 0:
            raise RecipeError(f"sphereface: softness must be at least 0, got {softness!r}")
        self.margin = margin
        self.softness = softness

    def lowered(self, cosine: Tensor) -> Tensor:
        # cos(m theta) as Chebyshev's polynomial: acos has no gradient at theta = 0.
        before, multiple = torch.ones_like(cosine), cosine
        for _ in range(self.margin - 1):
            before, multiple = multiple, 2 * cosine * multiple - before
        k = torch.zeros_like(cosine)
        for step in range(1, self.margin):
            k = k + (cosine < math.cos(step * math.pi / self.margin)).to(cosine.dtype)
        psi = (1 - 2 * (k % 2)) * multiple - 2 * k
        return (self.softness * cosine + psi) / (1 + self.softness)

    def scale(self, features: Tensor) -> Tensor:
        return torch.linalg.vector_norm(features, dim=1, keepdim=True)


@final
class CosFace(AngularMargin):
    """Subtracted cosine: s (cos(theta) - m) for the right class.

    Args:
        classes: number of classes C.
        features: length F of a feature vector, default 2.
        margin: m, default 0.35.
        size: s, default 64.

    Source: Wang et al. 2018, "CosFace: Large Margin Cosine Loss for Deep Face Recognition",
    equation 4.
    """

    def __init__(
        self, classes: Count, features: Count = 2, margin: float = 0.35, size: float = 64.0
    ) -> None:
        super().__init__(classes, features)
        self.margin = margin
        self.size = size

    def lowered(self, cosine: Tensor) -> Tensor:
        return cosine - self.margin

    def scale(self, features: Tensor) -> float:
        return self.size


@final
class ArcFace(AngularMargin):
    """Added angle: s cos(theta + m) for the right class.

    Beyond theta = pi - m, where cos(theta + m) would rise again, the right class gets
    s (cos(theta) - m sin(m)), as in the authors' code.

    Args:
        classes: number of classes C.
        features: length F of a feature vector, default 2.
        margin: m in radians, from 0 to pi; default 0.5.
        size: s, default 64.

    Raises:
        RecipeError: a margin outside [0, pi].

    Source: Deng et al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face
    Recognition", equation 3.
    """

    def __init__(
        self, classes: Count, features: Count = 2, margin: float = 0.5, size: float = 64.0
    ) -> None:
        super().__init__(classes, features)
        if not 0 <= margin <= math.pi:
            raise RecipeError(f"arcface: margin must be in [0, pi] radians, got {margin!r}")
        self.margin = margin
        self.size = size

    def lowered(self, cosine: Tensor) -> Tensor:
        # At theta = 0 the sine's gradient is infinite; the clamp stops it there.
        sine = (1 - cosine.square()).clamp(min=1e-12).sqrt()
        added = cosine * math.cos(self.margin) - sine * math.sin(self.margin)
        beyond = cosine - self.margin * math.sin(self.margin)
        return torch.where(cosine > -math.cos(self.margin), added, beyond)

    def scale(self, features: Tensor) -> float:
        return self.size
