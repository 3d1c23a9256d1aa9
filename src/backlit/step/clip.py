"""Clipping gradients by their norm, as gates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backlit.errors import RecipeError


def clip_by_norm(
    grads: Sequence[Tensor], max_norm: float, norm_type: float = 2.0
) -> tuple[list[Tensor], Tensor]:
    """Gradients scaled so that their joint norm is at most `max_norm`.

    g <- g · min(1, max_norm / (‖g‖ + 1e-6)), ‖g‖ over all gradients together; the numbers of
    `torch.nn.utils.clip_grad_norm_`. Pure tensor code: it is traced into a step, and
    differentiated where a penalty needs it.

    Args:
        grads: one for each parameter.
        max_norm: at least 0.
        norm_type: order of the norm; ``float("inf")`` for the largest element.
    Returns: the scaled gradients, and the norm before scaling (0-d).
    Raises: RecipeError for a negative `max_norm`.

    Source: Pascanu, Mikolov and Bengio 2013, algorithm 1.
    """
    if not max_norm >= 0:
        raise RecipeError(f"clip_by_norm: expected a max_norm of at least 0, got {max_norm}")
    if not grads:
        return [], torch.zeros(())
    norms = torch.stack([torch.linalg.vector_norm(g, norm_type) for g in grads])
    total = torch.linalg.vector_norm(norms, norm_type)
    factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
    return [g * factor for g in grads], total
