"""The adversarial game and its mathematics: losses, penalties, the alternating step."""

from backlit.gan.game import Game
from backlit.gan.losses import ADVERSARIAL_LOSSES, AdversarialLoss, adversarial_loss
from backlit.gan.penalties import PENALTIES, R1, R2, GradientPenalty, Penalty

__all__ = [
    "ADVERSARIAL_LOSSES",
    "PENALTIES",
    "R1",
    "R2",
    "AdversarialLoss",
    "Game",
    "GradientPenalty",
    "Penalty",
    "adversarial_loss",
]
