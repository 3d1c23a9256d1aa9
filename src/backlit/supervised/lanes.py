"""A long sequence as lanes that go on from step to step: what carries a state is trained on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from backlit.data import lanes


@final
@dataclass(frozen=True, eq=False)
class Lanes:
    """A long sequence cut for truncated backpropagation through time.

    Step k sees chunk k mod K of each of B lanes: it begins where step k - 1 ended, and with a
    zero state where k mod K is 0. So the batch, its restart included, is a function of the step.

    Args:
        name: what it is called in a run's record.
        tokens: int64 or numbers (S, ...), in order.
        batch: B, the lanes.
        length: T, the steps of a chunk: as far as gradients go back.
    Raises: DataError for too few tokens, or batch or length below 1.

    Source: Williams & Peng 1990, "An efficient gradient-based algorithm for on-line training of
    recurrent network trajectories", BPTT(h; h').
    """

    name: str
    tokens: Tensor = field(repr=False)
    batch: int
    length: int

    def __post_init__(self) -> None:
        _ = self._chunks  # raises here, not at the first step

    @cached_property
    def _chunks(self) -> tuple[Tensor, Tensor]:
        return lanes(self.tokens, self.batch, self.length)  # (K, B, T, ...), one step apart

    def __len__(self) -> int:
        return self.batch

    @property
    def chunks(self) -> int:
        """K, the steps of an epoch."""
        return len(self._chunks[0])

    @cached_property
    def key(self) -> str:
        """sha256 over the tokens and how they are cut: which data these are."""
        cut = f"{tuple(self.tokens.shape)} {self.tokens.dtype} {self.batch} {self.length} "
        found = hashlib.sha256(cut.encode())
        found.update(self.tokens.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def at(self, step: int) -> dict[str, Tensor]:
        """The batch of a step, as `Supervised.step` takes it where it carries a state.

        Args:
            step: 0-based, counted from the start of training.
        Returns: x and y (B, T, ...), y one step on; restart, bool (B,).
        """
        chunk = step % self.chunks
        x, y = self._chunks
        return {
            "x": x[chunk],
            "restart": torch.full((self.batch,), chunk == 0),
            "y": y[chunk],
        }
