"""The original game with the generator loss that keeps its gradient when D is sure."""

from dataclasses import dataclass
from typing import final

from torch import Tensor
from torch.nn.functional import softplus

from backlit.gan.losses.base import AdversarialLoss


@final
@dataclass(frozen=True)
class NonSaturating(AdversarialLoss):
    """Non-saturating loss: D as in `Minimax`, G maximises log D(G(z)).

    L_D = E[softplus(-s(x))] + E[softplus(s(G(z)))],
    L_G = -E[log D(G(z))] = E[softplus(-s(G(z)))].

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets", section 3, last paragraph.
    """

    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return softplus(-real_scores).mean() + softplus(fake_scores).mean()

    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return softplus(-fake_scores).mean()
