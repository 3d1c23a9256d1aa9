"""The critic's game: the distance the mass of one distribution must travel to the other."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from backlit.gan.losses.base import AdversarialLoss


@final
@dataclass(frozen=True)
class Wasserstein(AdversarialLoss):
    """Wasserstein loss; the critic must be kept Lipschitz (gradient penalty, clipping).

    L_D = E[s(G(z))] - E[s(x)],   L_G = -E[s(G(z))].
    For a critic that is 1-Lipschitz and optimal, -L_D is the earth mover's distance.

    Source: Arjovsky et al. 2017, "Wasserstein Generative Adversarial Networks", equation 2
    and algorithm 1.
    """

    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return fake_scores.mean() - real_scores.mean()

    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return -fake_scores.mean()
