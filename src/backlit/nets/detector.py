"""A small one-stage detector without anchors: every cell of a grid says what stands there.

Shapes: N pictures; H W cells, each 8 pixels of the picture; C kinds of object.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from backlit.nets.initial import he_normal
from backlit.registry import Count

_PRIOR = 0.01


class Detector(nn.Module):
    """Pictures (N, channels, 8 H, 8 W) to (N, H, W, 4 + classes): a box and raw scores a cell.

    A box is x1, y1, x2, y2 in shares of the picture: the cell's middle less and plus four
    distances softplus(s) / 4, so it is never inside out. A cell speaks for the object whose
    middle it holds; `losses.Detection` trains it so, `supervised.detections` reads it.

    Args:
        channels: channels of the picture, default 3.
        classes: kinds of object, default 6.
        width: channels after the first of three halvings, default 16; twice as many after each.

    Source: Tian et al. 2019, "FCOS: Fully Convolutional One-Stage Object Detection", equations
    1 and 2; the initial scores of Lin et al. 2017, "Focal Loss for Dense Object Detection",
    section 4.1.
    """

    def __init__(self, channels: Count = 3, classes: Count = 6, width: Count = 16) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_block(channels, width, stride=2),
            *_block(width, 2 * width, stride=2),
            *_block(2 * width, 4 * width, stride=2),
            *_block(4 * width, 4 * width),
            *_block(4 * width, 4 * width),
        )
        self.head = nn.Conv2d(4 * width, 4 + classes, 3, padding=1)
        he_normal(self.trunk)
        nn.init.normal_(self.head.weight, std=0.01)
        # Nearly all cells are empty: without this their sum drowns the few others at first.
        prior = math.log(_PRIOR / (1 - _PRIOR))
        self.head.bias = nn.Parameter(torch.tensor([0.0] * 4 + [prior] * classes))

    def forward(self, x: Tensor) -> Tensor:
        cells = self.head(self.trunk(x)).permute(0, 2, 3, 1)  # (N, H, W, 4 + C)
        height, width = cells.shape[1:3]
        down = (torch.arange(height, device=x.device, dtype=x.dtype) + 0.5) / height
        across = (torch.arange(width, device=x.device, dtype=x.dtype) + 0.5) / width
        middle = torch.stack(
            [across.expand(height, width), down[:, None].expand(height, width)], -1
        )  # (H, W, 2)
        distance = softplus(cells[..., :4]) / 4
        before, after = middle - distance[..., :2], middle + distance[..., 2:]
        return torch.cat([before, after, cells[..., 4:]], -1)  # (N, H, W, 4 + C)


def _block(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()
