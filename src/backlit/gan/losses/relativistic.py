"""Relativistic games: D judges which of two samples is the more real."""

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor
from torch.nn.functional import softplus

from backlit.errors import RecipeError
from backlit.gan.losses.base import AdversarialLoss


@final
@dataclass(frozen=True)
class Relativistic(AdversarialLoss):
    """Relativistic pairing loss: each real sample is compared with one generated sample.

    L_D = E[softplus(-(s(x) - s(G(z))))],   L_G = E[softplus(-(s(G(z)) - s(x)))].

    Raises:
        RecipeError: real and generated scores that do not pair one to one.

    Source: Jolicoeur-Martineau 2019, "The relativistic discriminator", RSGAN (section 4);
    Huang et al. 2024, "The GAN is dead; long live the GAN!" (R3GAN), equation 2.
    """

    needs_real_in_generator: ClassVar[bool] = True

    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        _pairs(real_scores, fake_scores)
        return softplus(-(real_scores - fake_scores)).mean()

    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        _pairs(real_scores, fake_scores)
        return softplus(-(fake_scores - real_scores)).mean()


@final
@dataclass(frozen=True)
class RelativisticAverage(AdversarialLoss):
    """Relativistic average loss: each sample is compared with the mean of the other kind.

    L_D = E[softplus(-(s(x) - E s(G(z))))] + E[softplus(s(G(z)) - E s(x))],
    L_G = the same with real and generated exchanged.

    Source: Jolicoeur-Martineau 2019, "The relativistic discriminator", RaSGAN (section 4).
    """

    needs_real_in_generator: ClassVar[bool] = True

    def discriminator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return _above_mean(real_scores, fake_scores)

    def generator(self, real_scores: Tensor, fake_scores: Tensor) -> Tensor:
        return _above_mean(fake_scores, real_scores)


def _above_mean(upper: Tensor, lower: Tensor) -> Tensor:
    first = softplus(-(upper - lower.mean())).mean()
    return first + softplus(lower - upper.mean()).mean()


def _pairs(real_scores: Tensor, fake_scores: Tensor) -> None:
    # Broadcasting (N, 1) against (N,) would silently compare every pair instead of N pairs.
    if real_scores.shape != fake_scores.shape:
        raise RecipeError(
            "the relativistic loss pairs one real with one generated score, got shapes "
            f"{tuple(real_scores.shape)} and {tuple(fake_scores.shape)}; use equal batches or "
            "relativistic_average"
        )
