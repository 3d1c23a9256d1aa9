"""Overlap of boxes and the losses made from it: IoU, GIoU, DIoU, CIoU.

Shapes: boxes are (..., 4) as x1, y1, x2, y2 with x1 <= x2, y1 <= y2, in any unit of length;
leading dimensions broadcast, so (N, 1, 4) against (M, 4) gives all N x M pairs.
Quotients whose denominator is 0 (boxes without area, equal points) count as 0, in value and
gradient, so nothing becomes NaN and no small constant shifts the other values.
"""

import math
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from backlit.losses.common import check_reduction, reduce, same_shape


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Return |A and B| / |A or B|, in [0, 1]; 0 where neither box has area.

    Source: Jaccard 1912, "The distribution of the flora in the alpine zone".
    """
    intersection, union = _intersection_and_union(a, b)
    return _quotient(intersection, union)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Return IoU - |C without (A or B)| / |C|, C the smallest box around both; in (-1, 1].

    Source: Rezatofighi et al. 2019, "Generalized Intersection over Union", algorithm 1.
    """
    intersection, union = _intersection_and_union(a, b)
    width, height = _enclosing(a, b)
    around = width * height
    return _quotient(intersection, union) - _quotient(around - union, around)


def diou(a: Tensor, b: Tensor) -> Tensor:
    """Return IoU - rho^2 / c^2: distance of the centres over the enclosing box's diagonal.

    Source: Zheng et al. 2020, "Distance-IoU Loss", equations 6 and 7.
    """
    return iou(a, b) - _distance(a, b)


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Return DIoU - alpha v, v = 4/pi^2 (atan(w_b/h_b) - atan(w_a/h_a))^2.

    alpha = v / ((1 - IoU) + v) is a weight, not a path: no gradient flows through it.

    Source: Zheng et al. 2020, "Distance-IoU Loss", equations 8 to 11.
    """
    v = 4 / math.pi**2 * (_angle(b) - _angle(a)).square()
    overlap = iou(a, b)
    alpha = _quotient(v, 1 - overlap + v).detach()
    return overlap - _distance(a, b) - alpha * v


class BoxLoss(nn.Module, ABC):
    """One minus an overlap of predicted and true boxes, both (..., 4).

    Args:
        reduction: "mean" (default), "sum" or "none".

    Raises:
        RecipeError: an unknown reduction.
        DataError: boxes of different shapes.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction("box loss", reduction)

    @abstractmethod
    def overlap(self, boxes: Tensor, targets: Tensor) -> Tensor:
        """Return the overlap (...) of boxes (..., 4) with their targets."""

    def forward(self, boxes: Tensor, targets: Tensor) -> Tensor:
        same_shape("box loss", boxes, targets)
        return reduce(1 - self.overlap(boxes, targets), self.reduction)


@final
class IoU(BoxLoss):
    """1 - IoU; without overlap its gradient is 0. See `iou`."""

    def overlap(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return iou(boxes, targets)


@final
class GIoU(BoxLoss):
    """1 - GIoU; it pulls boxes together that do not overlap. See `giou`."""

    def overlap(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return giou(boxes, targets)


@final
class DIoU(BoxLoss):
    """1 - DIoU; it pulls the centres together even inside the target. See `diou`."""

    def overlap(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return diou(boxes, targets)


@final
class CIoU(BoxLoss):
    """1 - CIoU; DIoU that also fits the ratio of the sides. See `ciou`."""

    def overlap(self, boxes: Tensor, targets: Tensor) -> Tensor:
        return ciou(boxes, targets)


def _intersection_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    sides = sides.clamp(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    return intersection, _area(a) + _area(b) - intersection


def _area(box: Tensor) -> Tensor:
    width, height = _sides(box)
    return width * height


def _sides(box: Tensor) -> tuple[Tensor, Tensor]:
    # A network may predict x2 < x1: such a box has no area, never a negative one.
    sides = (box[..., 2:] - box[..., :2]).clamp(min=0)
    return sides[..., 0], sides[..., 1]


def _enclosing(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    sides = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    return sides[..., 0], sides[..., 1]


def _distance(a: Tensor, b: Tensor) -> Tensor:
    width, height = _enclosing(a, b)
    between = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2  # (..., 2)
    return _quotient(between.square().sum(-1), width.square() + height.square())


def _angle(box: Tensor) -> Tensor:
    width, height = _sides(box)
    # atan2 covers height 0; where both are 0 its gradient is 0/0, so that height becomes 1.
    point = (width == 0) & (height == 0)
    return torch.atan2(width, torch.where(point, torch.ones_like(height), height))


def _quotient(top: Tensor, bottom: Tensor) -> Tensor:
    # The inner where keeps 1/0 out of the gradient, the outer one out of the value.
    empty = bottom == 0
    safe = torch.where(empty, torch.ones_like(bottom), bottom)
    return torch.where(empty, torch.zeros_like(bottom), top / safe)
