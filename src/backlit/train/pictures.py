"""Pictures in and out of the loop."""

import io
import math
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from backlit.data import grid
from backlit.train.files import write_whole


class Pictures(Protocol):
    """What the loop needs of a data set (`backlit.data.PictureSet`)."""

    @property
    def key(self) -> str: ...

    @property
    def size_px(self) -> int: ...

    @property
    def channels(self) -> int: ...

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> Tensor: ...


_CELL_PX = 96  # small pictures are enlarged, in whole steps, to about this edge


def write_picture(path: Path, pictures: Tensor) -> None:
    """Write pictures as one PNG, in a grid as square as may be, small ones enlarged.

    Args:
        path: the file, written whole or not at all.
        pictures: (N, C, H, W) in [-1, 1]; what lies outside is clipped.

    Raises:
        RunError: the file cannot be written.
    """
    bytes_ = pictures.detach().clamp(-1, 1).add(1).mul(127.5).round().to("cpu", torch.uint8)
    array = bytes_.permute(0, 2, 3, 1).contiguous().numpy()  # (N, H, W, C)
    buffer = io.BytesIO()
    scale = max(1, _CELL_PX // max(array.shape[1:3]))
    grid(array, math.ceil(math.sqrt(len(array))), scale).save(buffer, "PNG")
    write_whole(path, buffer.getvalue(), "picture")
