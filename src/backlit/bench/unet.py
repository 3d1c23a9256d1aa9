"""A small U-Net, for the benchmark alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d


class UNet(nn.Module):
    """Pictures (N, channels, S, S) to scores (N, classes, S, S), S a multiple of 8.

    Args:
        channels: of the picture.
        classes: scores for each pixel.
        width: channels at full size, doubled at each of three halvings.

    Source: Ronneberger et al. 2015, "U-Net", figure 1, with padding and batch normalisation.
    """

    def __init__(self, channels: int = 3, classes: int = 2, width: int = 32) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(4)]
        ins = [channels, *widths[:-1]]
        self.down = nn.ModuleList(_block(i, o) for i, o in zip(ins, widths, strict=True))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(w, w // 2, 2, stride=2) for w in reversed(widths[1:])
        )
        self.join = nn.ModuleList(_block(w, w // 2) for w in reversed(widths[1:]))
        self.score = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else max_pool2d(x, 2))  # (N, width 2^i, S / 2^i, S / 2^i)
            kept.append(x)
        for up, join, skip in zip(self.up, self.join, reversed(kept[:-1]), strict=True):
            x = join(torch.cat([up(x), skip], 1))
        return self.score(x)  # (N, classes, S, S)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
