"""A long sequence as lanes that go on from step to step: what carries a state is trained on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from backlit.errors import DataError


@final
@dataclass(frozen=True, eq=False)
class Lanes:
    """A long sequence cut for truncated backpropagation through time.

    A batch is B lanes side by side, each a Bth of the sequence. Step k sees chunk k mod K of
    each: it begins where step k - 1 ended, and with a zero state where k mod K is 0. So a batch,
    its restart included, is a function of the step.

    Args:
        name: what it is called in a run's record.
        tokens: int64 (S,) or numbers (S, ...), in order.
        length: T, the steps of a chunk: as far as gradients go back.
        classes: names of the tokens, in the order of their numbers; empty where they are none.
    Raises: DataError for a length below 1, or no more than T tokens.

    Source: Williams & Peng 1990, "An efficient gradient-based algorithm for on-line training of
    recurrent network trajectories", BPTT(h; h').
    """

    name: str
    tokens: Tensor
    length: int
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.length < 1 or not len(self):
            raise DataError(
                f"{self.name}: expected a length of at least 1 and more tokens than it, got length "
                f"{self.length}, {len(self.tokens)} tokens"
            )

    def __len__(self) -> int:
        """The most lanes that can lie side by side."""
        return max(len(self.tokens) - 1, 0) // self.length

    @property
    def y(self) -> Tensor:
        """All targets (S - 1, ...): each token's next."""
        return self.tokens[1:]

    def chunks(self, lanes: int) -> int:
        """K, the steps of an epoch; what is left over at the end is dropped."""
        return len(self) // lanes

    @cached_property
    def key(self) -> str:
        """sha256 over the tokens and their cut: which data these are."""
        cut = f"{tuple(self.tokens.shape)} {self.tokens.dtype} {self.length} "
        found = hashlib.sha256(cut.encode())
        found.update(self.tokens.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def at(self, step: int, lanes: int) -> dict[str, Tensor]:
        """The batch of a step, as `Supervised.step` takes it where it carries a state.

        Args:
            step: 0-based, counted from the start of training.
            lanes: B, at most `len`.
        Returns: x and y (B, T, ...), y one step on; restart, bool (B,).
        """
        steps = self.chunks(lanes) * self.length  # of each lane
        begin = step * self.length % steps

        def cut(tokens: Tensor) -> Tensor:
            whole = tokens[: lanes * steps].unflatten(0, (lanes, steps))
            return whole[:, begin : begin + self.length].contiguous()  # (B, T, ...)

        restart = torch.full((lanes,), begin == 0)
        return {"x": cut(self.tokens), "restart": restart, "y": cut(self.y)}
