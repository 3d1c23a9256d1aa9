"""A state, flat name to live tensor: taken over from a saved one, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from backlit.errors import BacklitError


@torch.no_grad()
def load_state(live: Mapping[str, Tensor], saved: Mapping[str, Tensor], owner: str) -> None:
    """Copies a saved state into the live tensors.

    Args:
        live: the tensors written to.
        saved: tensors of the same names, shapes and dtypes.
        owner: what the state belongs to, for the error text ("game").
    Raises: BacklitError naming the first missing, extra or misshapen tensor.
    """
    for name in sorted(live.keys() ^ saved.keys()):
        side = "is missing" if name in live else f"is not part of this {owner}"
        raise BacklitError(f"state: tensor '{name}' {side}")
    for name, mine in live.items():
        if mine.shape != saved[name].shape or mine.dtype != saved[name].dtype:
            raise BacklitError(
                f"state: tensor '{name}': expected {tuple(mine.shape)} {mine.dtype}, "
                f"got {tuple(saved[name].shape)} {saved[name].dtype}"
            )
    for name, mine in live.items():
        mine.detach().copy_(saved[name])
