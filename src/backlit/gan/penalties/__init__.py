"""Penalties on the critic's gradient, each a small file with its source."""

from typing import Any

from backlit.errors import RecipeError
from backlit.gan.penalties.base import Critic, Penalty
from backlit.gan.penalties.gradient_penalty import GradientPenalty
from backlit.gan.penalties.r1 import R1, R2
from backlit.registry import build

PENALTIES: dict[str, type[Penalty]] = {
    "gradient_penalty": GradientPenalty,
    "r1": R1,
    "r2": R2,
}


def penalty(given: str | Penalty, **options: Any) -> Penalty:
    """The penalty of a name and its options, or the penalty object as given.

    Raises: RecipeError for an unknown name or option.
    """
    if isinstance(given, Penalty):
        return given
    if not isinstance(given, str):
        raise RecipeError(f"expected a penalty's name or object, got {type(given).__name__}")
    return build("penalty", PENALTIES, given, options)


__all__ = ["PENALTIES", "R1", "R2", "Critic", "GradientPenalty", "Penalty", "penalty"]
