"""The loss of a one-stage detector: what stands in each cell, and where exactly.

Shapes: N pictures, H W cells, M places for objects in a picture, C kinds of object.
"""

from typing import final

import torch
from torch import Tensor, nn

from backlit.errors import DataError, RecipeError
from backlit.losses.boxes import BoxLoss, CIoU, DIoU, GIoU, IoU
from backlit.losses.focal import Focal

_BOXES: dict[str, type[BoxLoss]] = {"ciou": CIoU, "diou": DIoU, "giou": GIoU, "iou": IoU}


@final
class Detection(nn.Module):
    """L = 1/P (sum of the focal loss over all cells and kinds + box_weight sum of 1 - CIoU).

    P is the number of objects in the batch, at least 1. Outputs are (N, H, W, 4 + C): a box x1,
    y1, x2, y2 in shares of the picture and raw scores. Targets are (N, M, 4 + C): a box and a 1
    for its kind, rows of zeros for no object. The cell that holds an object's middle is to score
    its kind and to give its box; all else is to score nothing.

    Args:
        box: "ciou" (default), "diou", "giou" or "iou".
        box_weight: default 2.
        gamma, alpha: of the focal loss, defaults 2 and 0.25.

    Raises:
        RecipeError: an unknown box loss, a negative weight, or what `Focal` refuses.
        DataError: outputs or targets of other shapes.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5 and section 4.1;
    Zheng et al. 2020, "Distance-IoU Loss", equation 10.
    """

    def __init__(
        self,
        box: str = "ciou",
        box_weight: float = 2.0,
        gamma: float = 2.0,
        alpha: float | None = 0.25,
    ) -> None:
        super().__init__()
        if box not in _BOXES:
            raise RecipeError(f"detection: box must be {', '.join(_BOXES)}, got {box!r}")
        if not box_weight >= 0:
            raise RecipeError(f"detection: box_weight must be at least 0, got {box_weight!r}")
        self.box_weight = box_weight
        self.kind = Focal(gamma, alpha, reduction="sum")
        self.box = _BOXES[box](reduction="none")

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.dim() != 4 or targets.dim() != 3 or outputs.shape[3] != targets.shape[2]:
            raise DataError(
                "detection: expected outputs (N, H, W, 4 + C) and targets (N, M, 4 + C), got "
                f"{tuple(outputs.shape)}, {tuple(targets.shape)}"
            )
        height, width = outputs.shape[1:3]
        kinds = targets[..., 4:]  # (N, M, C)
        there = kinds.sum(2)  # (N, M), 1 where there is an object
        middle = (targets[..., :2] + targets[..., 2:4]) / 2
        column = (middle[..., 0] * width).long().clamp(0, width - 1)
        row = (middle[..., 1] * height).long().clamp(0, height - 1)
        cell = row * width + column  # (N, M)
        flat = outputs.flatten(1, 2)  # (N, H W, 4 + C)
        holds = (cell[..., None] == torch.arange(height * width, device=cell.device)).to(flat.dtype)
        wanted = (holds.transpose(1, 2) @ kinds).clamp(max=1)  # (N, H W, C)
        boxes = flat.gather(1, cell[..., None].expand(-1, -1, 4))  # (N, M, 4)
        apart = self.box(boxes, targets[..., :4]) * there
        total = self.kind(flat[..., 4:], wanted) + self.box_weight * apart.sum()
        return total / there.sum().clamp(min=1)
