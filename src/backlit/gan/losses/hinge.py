"""The hinge game: D stops caring about samples beyond its margin."""

from dataclasses import dataclass
from typing import final

from torch import Tensor
from torch.nn.functional import relu

from backlit.gan.losses.base import AdversarialLoss


@final
@dataclass(frozen=True)
class Hinge(AdversarialLoss):
    """Hinge loss.

    L_D = E[max(0, 1 - s(x))] + E[max(0, 1 + s(G(z)))],   L_G = -E[s(G(z))].

    Source: Lim & Ye 2017, "Geometric GAN", section 3; Miyato et al. 2018, "Spectral
    Normalization for Generative Adversarial Networks", equations 16 and 17.
    """

    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return relu(1.0 - real_scores).mean() + relu(1.0 + fake_scores).mean()

    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return -fake_scores.mean()
