"""A fixed set of pictures of one size, in memory or memory-mapped.

Shapes: N pictures, H height, W width, C channels.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import ArrayLike

from backlit.errors import DataError


@final
@dataclass(frozen=True, eq=False, repr=False)
class PictureSet:
    """Pictures of one size with what is known about each.

    Args:
        pictures: uint8 (N, H, W, C); memory-mapped and read-only for folders.
        labels: int64 (N,), an index into classes, or None.
        classes: names of the classes, empty without labels.
        captions: one text for each picture, or None.
        masks: uint8 (N, H, W), 0 or 255, or None.
        names: file path relative to the folder, or emoji label.
        key: sha256 that identifies exactly these pixels and labels in this order.
        skipped: (file, reason) of each file that could not be used.
    """

    pictures: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    captions: tuple[str, ...] | None
    masks: np.ndarray | None
    names: tuple[str, ...]
    key: str
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        size = f"{self.pictures.shape[2]}x{self.pictures.shape[1]}x{self.channels}"
        return f"PictureSet({len(self)} pictures {size}{classes}{skipped}, key {self.key[:12]})"

    @property
    def size_px(self) -> int:
        """Height (and width) of the pictures."""
        return self.pictures.shape[1]

    @property
    def channels(self) -> int:
        """1 grey, 3 RGB or 4 RGBA."""
        return self.pictures.shape[3]

    def batch(self, indices: ArrayLike) -> torch.Tensor:
        """A copy of the chosen pictures.

        Args:
            indices: integers (B,), each in 0..N-1; repeats allowed.

        Returns:
            uint8 (B, C, H, W) with channels-last strides.

        Raises:
            DataError: an index is out of range.
        """
        chosen = torch.from_numpy(self.pictures[self._indices(indices)])  # (B, H, W, C)
        return chosen.permute(0, 3, 1, 2)  # (B, C, H, W)

    def subset(self, indices_or_mask: ArrayLike) -> "PictureSet":
        """The chosen pictures as a set of their own, copied into memory.

        Args:
            indices_or_mask: integers (M,), or bool (N,).

        Returns:
            The set in the given order; classes and skipped files stay as they are.

        Raises:
            DataError: an index is out of range, or the mask has another length.
        """
        chosen = np.asarray(indices_or_mask)
        if chosen.dtype == bool:
            if chosen.shape != (len(self),):
                raise DataError(
                    f"subset: expected a mask of shape ({len(self)},), got {chosen.shape}"
                )
            chosen = np.flatnonzero(chosen)
        chosen = self._indices(chosen)
        return replace(
            self,
            pictures=self.pictures[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            captions=None if self.captions is None else tuple(self.captions[i] for i in chosen),
            masks=None if self.masks is None else self.masks[chosen],
            names=tuple(self.names[i] for i in chosen),
            key=hashlib.sha256(self.key.encode() + chosen.tobytes()).hexdigest(),
        )

    def _indices(self, indices: ArrayLike) -> np.ndarray:
        chosen = np.asarray(indices)
        if chosen.size == 0:
            chosen = chosen.astype(np.int64)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise DataError(
                f"indices: expected integers of shape (B,), got {chosen.dtype} {chosen.shape}"
            )
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise DataError(
                f"indices: expected 0..{len(self) - 1}, got {chosen.min()}..{chosen.max()}"
            )
        return chosen.astype(np.int64)


def content_key(pixels_sha256: str, shape: tuple[int, ...], labels: np.ndarray | None) -> str:
    """The key of a set: sha256 over its pixels' sha256, its shape and its labels."""
    head = f"{pixels_sha256} {shape} ".encode()
    return hashlib.sha256(head + (b"" if labels is None else labels.tobytes())).hexdigest()
