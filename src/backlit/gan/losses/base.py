"""What every adversarial loss is: one number for the discriminator, one for the generator."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor


class AdversarialLoss(ABC):
    """The two sides of the game as two numbers to minimise, computed from D's raw scores.

    Scores are logits, never probabilities: D(x) = sigmoid(score). They may have any shape
    ((N,), (N, 1), a patch map); a mean is taken over all of it.

    Attributes:
        needs_real_in_generator: True where the generator's loss reads the real scores too
            (the relativistic ones); elsewhere `generator` ignores them.
    """

    needs_real_in_generator: ClassVar[bool] = False

    @abstractmethod
    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """Return D's loss (0-d), given raw scores of real and of generated samples."""

    @abstractmethod
    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        """Return G's loss (0-d), given raw scores of real and of generated samples."""
