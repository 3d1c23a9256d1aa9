"""Adversarial losses as small files: raw scores in, one number to minimise for each side out.

`adversarial_loss` takes a name from a recipe or a loss object; every loss states its formula
and source. They are written in ordinary torch functions, in forms that stay finite for scores
of any size, so they become gates of the step's graph like any network.
"""

from typing import Any

from backlit.errors import RecipeError
from backlit.gan.losses.base import AdversarialLoss
from backlit.gan.losses.hinge import Hinge
from backlit.gan.losses.least_squares import LeastSquares
from backlit.gan.losses.minimax import Minimax
from backlit.gan.losses.nonsaturating import NonSaturating
from backlit.gan.losses.relativistic import Relativistic, RelativisticAverage
from backlit.gan.losses.wasserstein import Wasserstein
from backlit.registry import build

ADVERSARIAL_LOSSES: dict[str, type[AdversarialLoss]] = {
    "hinge": Hinge,
    "least_squares": LeastSquares,
    "minimax": Minimax,
    "nonsaturating": NonSaturating,
    "relativistic": Relativistic,
    "relativistic_average": RelativisticAverage,
    "wasserstein": Wasserstein,
}


def adversarial_loss(loss: str | AdversarialLoss, **options: Any) -> AdversarialLoss:
    """Return the adversarial loss of a name and its options, or the loss object as given.

    Raises:
        RecipeError: an unknown name or option (the allowed ones and the nearest are listed),
            options beside a loss object, or something that is neither.
    """
    if isinstance(loss, AdversarialLoss):
        if options:
            raise RecipeError(
                f"options {sorted(options)} came beside a loss object {loss!r}; give a name "
                "with options, or set them on the object"
            )
        return loss
    if not isinstance(loss, str):
        raise RecipeError(
            f"an adversarial loss is a name or an AdversarialLoss object, got {type(loss).__name__}"
            f"; allowed names: {', '.join(ADVERSARIAL_LOSSES)}"
        )
    return build("adversarial loss", ADVERSARIAL_LOSSES, loss, options)


__all__ = [
    "ADVERSARIAL_LOSSES",
    "AdversarialLoss",
    "Hinge",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "Relativistic",
    "RelativisticAverage",
    "Wasserstein",
    "adversarial_loss",
]
