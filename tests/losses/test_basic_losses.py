"""Losses for numbers and classes against torch, scikit-learn and closed forms."""

import math

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn import functional

from backlit.errors import DataError, RecipeError
from backlit.losses import (
    L1,
    L2,
    BinaryCrossEntropy,
    BinaryHinge,
    CrossEntropy,
    Focal,
    KLDivergence,
    MulticlassHinge,
    Quadratic,
    l1_regularisation,
    l2_regularisation,
    loss,
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


A, B = randn(6, 4, seed=1), randn(6, 4, seed=2).detach()
SCORES, CLASSES = randn(6, 4, seed=3), torch.tensor([0, 3, 1, 2, 2, 0])
BITS = torch.tensor([[0, 1, 1, 0]] * 6)


def close(a, b) -> None:
    expected = torch.as_tensor(b, dtype=torch.float64)
    torch.testing.assert_close(torch.as_tensor(a), expected, rtol=1e-11, atol=1e-12)


def test_regression_losses() -> None:
    close(L2()(A, B), metrics.mean_squared_error(B, A.detach()))
    close(L1()(A, B), metrics.mean_absolute_error(B, A.detach()))
    close(L2("sum")(A, B), ((A - B) ** 2).sum())
    assert L1("none")(A, B).shape == (6, 4)
    value = Quadratic()(A, B)
    close(value, sum(((a - b) ** 2).sum() for a, b in zip(A, B, strict=True)) / 12)
    close(torch.autograd.grad(value, A)[0], (A - B) / 6)  # mission B1: grad_a C = a - y


def test_multiclass_hinge() -> None:
    """Three pictures, three classes, the scores of the course example: 2.9, 0, 12.9."""
    scores = torch.tensor([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    assert MulticlassHinge()(scores, torch.tensor([0, 1, 2])).item() == pytest.approx(15.8 / 3)
    close(
        MulticlassHinge(0.7)(SCORES, CLASSES),
        4 * functional.multi_margin_loss(SCORES, CLASSES, margin=0.7),
    )


def test_svm_total_loss_is_data_loss_plus_regularisation() -> None:
    """Mission A8, with the gradient to W written out by hand."""
    x, weight, decay = randn(6, 5, seed=8).detach(), randn(4, 5, seed=9), 0.1
    total = MulticlassHinge()(x @ weight.T, CLASSES) + decay * l2_regularisation([weight])
    scores = (x @ weight.T).detach()
    violated = scores - scores.gather(1, CLASSES[:, None]) + 1 > 0
    pull = violated.double()
    pull[torch.arange(6), CLASSES] = 0
    pull[torch.arange(6), CLASSES] = -pull.sum(1)
    close(torch.autograd.grad(total, weight)[0], pull.T @ x / 6 + 2 * decay * weight)
    close(l1_regularisation([A, B]), A.abs().sum() + B.abs().sum())


def test_binary_hinge() -> None:
    score = SCORES[:, 0]
    bits = torch.tensor([0, 1, 1, 0, 1, 0])
    close(BinaryHinge()(score, bits), metrics.hinge_loss(bits * 2 - 1, score.detach()))


def test_cross_entropy() -> None:
    probabilities = SCORES.detach().softmax(1)
    close(CrossEntropy()(SCORES, CLASSES), metrics.log_loss(CLASSES, probabilities))
    weights = [1.0, 2.0, 0.5, 3.0]
    sample_weights = np.array(weights)[CLASSES]
    close(
        CrossEntropy(weights=weights)(SCORES, CLASSES),
        metrics.log_loss(CLASSES, probabilities, sample_weight=sample_weights),
    )
    soft = 0.8 * functional.one_hot(CLASSES, 4).double() + 0.2 / 4
    close(
        CrossEntropy(smoothing=0.2)(SCORES, CLASSES),
        -(soft * probabilities.log()).sum(1).mean(),
    )
    ignored = torch.where(CLASSES == 2, 9, CLASSES)
    kept = CLASSES != 2
    close(CrossEntropy(ignore=9)(SCORES, ignored), CrossEntropy()(SCORES[kept], CLASSES[kept]))


def test_cross_entropy_of_a_90_percent_answer() -> None:
    """Mission C5: -log 0.9 = 0.105."""
    value = CrossEntropy()(torch.tensor([[0.9, 0.1]]).log(), torch.tensor([0])).item()
    assert value == pytest.approx(-math.log(0.9)) == pytest.approx(0.105, abs=5e-4)


def test_cross_entropy_over_sequences() -> None:
    scores, targets = randn(2, 5, 3), torch.tensor([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])
    flat = CrossEntropy()(scores.reshape(10, 3), targets.reshape(10))
    close(CrossEntropy(class_dim=-1)(scores, targets), flat)


def test_binary_cross_entropy() -> None:
    score, bits = SCORES[:, :1], torch.tensor([0, 1, 1, 0, 1, 0])
    probability = torch.sigmoid(score.detach())[:, 0]
    close(BinaryCrossEntropy()(score, bits), metrics.log_loss(bits, probability))
    soft = torch.rand(6, 4, dtype=torch.float64)
    close(
        BinaryCrossEntropy(2.5, "sum")(SCORES, soft),
        functional.binary_cross_entropy_with_logits(
            SCORES, soft, pos_weight=torch.tensor(2.5), reduction="sum"
        ),
    )


def test_kl() -> None:
    p = randn(6, 4, seed=5).detach().softmax(1)
    q = SCORES.softmax(1)
    close(KLDivergence()(SCORES, p), (p * (p / q).log()).sum(1).mean())
    hot = functional.one_hot(CLASSES, 4).double()
    close(KLDivergence()(SCORES, hot), CrossEntropy()(SCORES, CLASSES))
    assert KLDivergence()(p.log(), p).abs() < 1e-15
    close(KLDivergence(2.0)(SCORES, p), KLDivergence()(SCORES / 2, p))


def test_focal() -> None:
    bits = BITS
    p = torch.sigmoid(SCORES)
    right = torch.where(bits == 1, p, 1 - p)
    alpha = torch.where(bits == 1, 0.25, 0.75)
    each = -alpha * (1 - right) ** 2 * right.log()
    close(Focal()(SCORES, bits), each.mean())
    close(Focal(reduction="positives")(SCORES, bits), each.sum() / bits.sum())
    close(Focal(0.0, None)(SCORES, bits), BinaryCrossEntropy()(SCORES, bits))
    none = torch.zeros_like(bits)
    assert Focal(reduction="positives")(SCORES, none).isfinite()
    # Table 1a of the paper's motivation: at p = 0.9 and gamma 2 the loss is 100 times smaller.
    easy = torch.tensor([math.log(9.0)], dtype=torch.float64)
    plain, focal = Focal(0, None)(easy, torch.ones(1)), Focal(2, None)(easy, torch.ones(1))
    assert (plain / focal).item() == pytest.approx(100)


SMOOTH = {
    "quadratic": lambda a: Quadratic()(a, B),
    "l1": lambda a: L1()(a, B),
    "l2": lambda a: L2()(a, B),
    "hinge": lambda a: MulticlassHinge()(a, CLASSES),
    "binary_hinge": lambda a: BinaryHinge()(a, BITS),
    "cross_entropy": lambda a: CrossEntropy(0.1, [1, 2, 3, 4])(a, CLASSES),
    "binary_cross_entropy": lambda a: BinaryCrossEntropy(3.0)(a, BITS),
    "kl": lambda a: KLDivergence()(a, B.softmax(1)),
    "focal": lambda a: Focal(1.5)(a, BITS),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients(name: str) -> None:
    assert gradcheck(SMOOTH[name], (A,))


@pytest.mark.parametrize("extreme", [1e4, -1e4])
@pytest.mark.parametrize("name", SMOOTH)
def test_extreme_scores_stay_finite(name: str, extreme: float) -> None:
    scores = torch.full((6, 4), extreme, dtype=torch.float64)
    scores[:, 0] *= -1
    scores.requires_grad_()
    value = SMOOTH[name](scores)
    assert value.isfinite()
    assert torch.autograd.grad(value, scores)[0].isfinite().all()


def test_focal_gradient_is_finite_for_fractional_gamma_when_sure() -> None:
    score = torch.tensor([800.0], requires_grad=True)
    value = Focal(0.5)(score, torch.ones(1))
    assert torch.autograd.grad(value, score)[0].isfinite().all()


def test_loss_by_name() -> None:
    assert isinstance(loss("focal", gamma=1.0), Focal)


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (
            lambda: loss("crossentropy"),
            RecipeError,
            r"unknown loss .*did you mean 'cross_entropy'.*",
        ),
        (lambda: loss("l2", margin=1), RecipeError, r"loss 'l2' has no option 'margin'.*"),
        (lambda: L2("avg"), RecipeError, r"l2: reduction must be mean or sum or none, got 'avg'"),
        (lambda: CrossEntropy(1.0), RecipeError, r".*smoothing must be in \[0, 1\), got 1.0"),
        (lambda: CrossEntropy(weights=[0, -1]), RecipeError, r".*weights must be .*\[0.0, -1.0\]"),
        (lambda: BinaryCrossEntropy(0), RecipeError, r".*positive_weight must be .*, got 0"),
        (lambda: KLDivergence(0), RecipeError, r"kl: temperature must be .*, got 0"),
        (lambda: Focal(-1), RecipeError, r"focal: gamma must be at least 0, got -1"),
        (lambda: Focal(alpha=2), RecipeError, r"focal: alpha must be in \[0, 1\] or None, got 2"),
        (lambda: Focal(reduction="x"), RecipeError, r"focal: reduction must be .*positives, .*"),
        (
            lambda: L2()(torch.zeros(3, 1), torch.zeros(3)),
            DataError,
            r"l2: outputs of shape \(3, 1\) need targets of the same shape, got \(3,\); reshape .*",
        ),
        (
            lambda: BinaryCrossEntropy()(torch.zeros(3, 2), torch.zeros(3)),
            DataError,
            r"binary_cross_entropy: outputs of shape \(3, 2\) .*",
        ),
    ],
)
def test_errors(make, kind: type, text: str) -> None:
    with pytest.raises(kind, match=f"^{text}$"):
        make()
