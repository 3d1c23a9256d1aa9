"""Adversarial losses against naive closed forms, at extremes, and at the game's optimum."""

import math

import pytest
import torch
from torch import Tensor

from backlit.errors import RecipeError
from backlit.gan.losses import (
    ADVERSARIAL_LOSSES,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    RelativisticAverage,
    adversarial_loss,
)

sigmoid, log = torch.sigmoid, torch.log
ZERO = torch.zeros((), dtype=torch.float64)

# (real, fake) -> loss, written as the papers print them.
NAIVE = {
    "minimax": (
        lambda r, f: -(log(sigmoid(r)).mean() + log(1 - sigmoid(f)).mean()),
        lambda r, f: log(1 - sigmoid(f)).mean(),
    ),
    "nonsaturating": (
        lambda r, f: -(log(sigmoid(r)).mean() + log(1 - sigmoid(f)).mean()),
        lambda r, f: -log(sigmoid(f)).mean(),
    ),
    "least_squares": (
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    "hinge": (
        lambda r, f: torch.maximum(ZERO, 1 - r).mean() + torch.maximum(ZERO, 1 + f).mean(),
        lambda r, f: -f.mean(),
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic": (
        lambda r, f: -log(sigmoid(r - f)).mean(),
        lambda r, f: -log(sigmoid(f - r)).mean(),
    ),
    "relativistic_average": (
        lambda r, f: -log(sigmoid(r - f.mean())).mean() - log(1 - sigmoid(f - r.mean())).mean(),
        lambda r, f: -log(sigmoid(f - r.mean())).mean() - log(1 - sigmoid(r - f.mean())).mean(),
    ),
}


def scores(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def sides(name: str) -> list:
    loss = adversarial_loss(name)
    return list(zip((loss.discriminator, loss.generator), NAIVE[name], strict=True))


@pytest.mark.parametrize("shape", [(6,), (6, 1), (2, 1, 3, 3)])
@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_value_and_gradient_equal_the_naive_formula(name: str, shape: tuple) -> None:
    real, fake = scores(*shape, seed=1), scores(*shape, seed=2)
    for ours, naive in sides(name):
        value, expected = ours(real, fake), naive(real, fake)
        assert value.shape == ()
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
        for mine, other in zip(
            torch.autograd.grad(value, (real, fake), allow_unused=True),
            torch.autograd.grad(expected, (real, fake), allow_unused=True),
            strict=True,
        ):
            assert (mine is None) == (other is None)
            if mine is not None:
                torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_extreme_scores_stay_finite(name: str, dtype: torch.dtype) -> None:
    extremes = torch.tensor([1e4, -1e4, 0.0, 100.0], dtype=dtype)
    real = extremes.clone().requires_grad_()
    fake = extremes.flip(0).clone().requires_grad_()
    for ours, _ in sides(name):
        value = ours(real, fake)
        assert value.isfinite()
        for gradient in torch.autograd.grad(value, (real, fake), allow_unused=True):
            assert gradient is None or gradient.isfinite().all()


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_needs_real_in_generator_is_true_where_the_real_scores_matter(name: str) -> None:
    loss = adversarial_loss(name)
    real, fake = scores(5, seed=3), scores(5, seed=4)
    gradient = torch.autograd.grad(loss.generator(real, fake), real, allow_unused=True)[0]
    assert loss.needs_real_in_generator == (gradient is not None)


def test_the_games_optimum() -> None:
    """Where D = 1/2 everywhere the value of the game is -2 log 2 (mission F5)."""
    undecided = torch.zeros(8, dtype=torch.float64)
    for loss in (Minimax(), NonSaturating(), RelativisticAverage()):
        value = -loss.discriminator(undecided, undecided).item()
        assert value == pytest.approx(-2 * math.log(2), abs=1e-15)
    assert Minimax().generator(undecided, undecided).item() == pytest.approx(-math.log(2))
    assert NonSaturating().generator(undecided, undecided).item() == pytest.approx(math.log(2))


def test_best_discriminator_and_its_value() -> None:
    """For fixed G: D* = p_data / (p_data + p_G) and V = -2 log 2 + 2 JSD (mission F5)."""
    data = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    made = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64)
    score = (data.log() - made.log()).requires_grad_()  # logit of D*
    loss = Minimax()
    # A mean over samples becomes an expectation when each point enters once with its weight.
    value = -sum(
        p * loss.discriminator(s, torch.full_like(s, -torch.inf))
        + q * loss.discriminator(torch.full_like(s, torch.inf), s)
        for p, q, s in zip(data, made, score, strict=True)
    )
    mean = (data + made) / 2
    jsd = ((data * (data / mean).log()).sum() + (made * (made / mean).log()).sum()) / 2
    torch.testing.assert_close(value, -2 * math.log(2) + 2 * jsd, rtol=1e-12, atol=0)
    assert torch.autograd.grad(value, score)[0].abs().max() < 1e-12


def test_saturation_is_what_the_nonsaturating_loss_cures() -> None:
    caught = torch.full((4,), -12.0, dtype=torch.float64, requires_grad=True)
    saturating = torch.autograd.grad(Minimax().generator(caught, caught), caught)[0]
    cured = torch.autograd.grad(NonSaturating().generator(caught, caught), caught)[0]
    assert saturating.abs().max() < 1e-5 / 4
    assert cured.abs().min() > 0.99 / 4


def test_hinge_ignores_samples_beyond_the_margin() -> None:
    far = torch.tensor([2.0, 3.0], dtype=torch.float64)
    assert Hinge().discriminator(far, -far).item() == 0.0


def test_least_squares_options() -> None:
    pearson = adversarial_loss("least_squares", a=-1.0, b=1.0, c=0.0)
    assert pearson == LeastSquares(a=-1.0, b=1.0, c=0.0)
    real, fake = scores(5, seed=5), scores(5, seed=6)
    expected = ((real - 1) ** 2).mean() / 2 + ((fake + 1) ** 2).mean() / 2
    torch.testing.assert_close(pearson.discriminator(real, fake), expected)
    torch.testing.assert_close(pearson.generator(real, fake), (fake**2).mean() / 2)


def test_a_loss_object_is_returned_as_it_is() -> None:
    loss = LeastSquares(c=0.5)
    assert adversarial_loss(loss) is loss


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: adversarial_loss("wassertein"),
            r"unknown adversarial loss 'wassertein' \(did you mean 'wasserstein'\?\); "
            r"allowed: hinge, least_squares, minimax, nonsaturating, relativistic, "
            r"relativistic_average, wasserstein",
        ),
        (lambda: adversarial_loss("hinge", margin=2.0), r".* has no option 'margin'.*"),
        (lambda: adversarial_loss(3), r"an adversarial loss is a name or .* object, got int; .*"),
        (lambda: adversarial_loss(Hinge(), a=1), r"options \['a'\] came beside a loss object .*"),
        (lambda: LeastSquares(a=1.0), r"least_squares needs a != b, got both 1.0: .*"),
        (lambda: LeastSquares(c=math.nan), r"least_squares needs finite targets, got .*c=nan"),
        (
            lambda: adversarial_loss("relativistic").generator(torch.ones(3, 1), torch.ones(3)),
            r"the relativistic loss pairs .* got shapes \(3, 1\) and \(3,\); .*",
        ),
    ],
)
def test_errors(make, text: str) -> None:
    with pytest.raises(RecipeError, match=f"^{text}$"):
        make()
