"""The original two-player game, with the generator's saturating loss."""

from dataclasses import dataclass
from typing import final

from torch import Tensor
from torch.nn.functional import softplus

from backlit.gan.losses.base import AdversarialLoss


@final
@dataclass(frozen=True)
class Minimax(AdversarialLoss):
    """Minimax loss: both sides play on the same value V(D, G).

    With D(x) = sigmoid(s(x)):
    L_D = -V = -E[log D(x)] - E[log(1 - D(G(z)))] = E[softplus(-s(x))] + E[softplus(s(G(z)))],
    L_G = E[log(1 - D(G(z)))] = -E[softplus(s(G(z)))].
    Its gradient for G vanishes where D is sure of a fake; see `NonSaturating`.

    Source: Goodfellow et al. 2014, "Generative Adversarial Nets", equation 1 and algorithm 1.
    """

    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return softplus(-real_scores).mean() + softplus(fake_scores).mean()

    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return -softplus(fake_scores).mean()
