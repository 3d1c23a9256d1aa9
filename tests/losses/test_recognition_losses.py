"""Triplet, center and angular-margin losses against the formulas of their papers."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn import functional

from backlit.errors import DataError, RecipeError
from backlit.losses import (
    ArcFace,
    BatchHardTriplet,
    Center,
    CosFace,
    SphereFace,
    Triplet,
    loss,
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


CLASSES = torch.tensor([0, 1, 1, 2, 0, 2, 2])


def test_triplet() -> None:
    a, p, n = randn(5, 3, seed=1), randn(5, 3, seed=2), randn(5, 3, seed=3)
    each = [
        max(0.0, (x - y).square().sum().item() - (x - z).square().sum().item() + 0.2)
        for x, y, z in zip(a, p, n, strict=True)
    ]
    assert Triplet()(a, p, n).item() == pytest.approx(sum(each) / 5)
    assert gradcheck(Triplet(), (a, p, n))
    with pytest.raises(DataError, match=r"^triplet: outputs of shape \(5, 3\) need .*$"):
        Triplet()(a, p, n[:1])


def test_batch_hard_triplet() -> None:
    x = randn(7, 3, seed=4)
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    each = []
    for i in range(7):
        positive = max(distance[i, j] for j in range(7) if j != i and CLASSES[j] == CLASSES[i])
        negative = min(distance[i, j] for j in range(7) if CLASSES[j] != CLASSES[i])
        each.append((positive - negative + 0.2).clamp(min=0))
    expected = torch.stack(each).mean()
    torch.testing.assert_close(BatchHardTriplet()(x, CLASSES), expected)
    assert gradcheck(lambda x: BatchHardTriplet()(x, CLASSES), (x,))


@pytest.mark.parametrize("targets", [[0, 0, 0], [0, 1, 2], [0, 0, 1]])
def test_batch_hard_triplet_without_partners_or_with_equal_points(targets: list[int]) -> None:
    x = torch.ones(3, 2, requires_grad=True)
    value = BatchHardTriplet()(x, torch.tensor(targets))
    usable = targets == [0, 0, 1]
    assert value.item() == pytest.approx(0.2 if usable else 0.0)
    assert torch.autograd.grad(value, x)[0].isfinite().all()


def test_center_loss_and_the_papers_update() -> None:
    x, center = randn(7, 2, seed=5), Center(4, 2).double()
    centers = center.centers.detach()
    expected = sum((a - centers[y]).square().sum() for a, y in zip(x, CLASSES, strict=True)) / 14
    torch.testing.assert_close(center(x, CLASSES), expected)
    assert gradcheck(lambda x: center(x, CLASSES), (x,))
    assert torch.autograd.grad(center(x, CLASSES), center.centers)[0][3].abs().max() == 0
    moved = center.updated_centers(x, CLASSES, rate=0.5)
    for j in range(4):
        mine = x[CLASSES == j].detach()
        step = (centers[j] - mine).sum(0) / (1 + len(mine))
        torch.testing.assert_close(moved[j], centers[j] - 0.5 * step)


def angles(head, x: Tensor) -> Tensor:
    return functional.normalize(x) @ functional.normalize(head.weight).T


def by_formula(head, x: Tensor, lower, scale) -> Tensor:
    """Cross-entropy written out, the right class's angle put through `lower`."""
    theta = torch.acos(angles(head, x).detach().clamp(-1, 1))
    each = []
    for row, y, size in zip(theta, CLASSES.tolist(), scale, strict=True):
        scores = [size * math.cos(t) for t in row]
        scores[y] = size * lower(row[y].item())
        each.append(math.log(sum(math.exp(s) for s in scores)) - scores[y])
    return torch.tensor(sum(each) / len(each), dtype=torch.float64)


def sphere(m: int):
    def psi(theta: float) -> float:
        k = min(int(theta * m / math.pi), m - 1)
        return (-1) ** k * math.cos(m * theta) - 2 * k

    return psi


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_sphereface(m: int) -> None:
    x, head = randn(7, 3, seed=6), SphereFace(3, 3, margin=m).double()
    lengths = x.detach().norm(dim=1).tolist()
    torch.testing.assert_close(head(x, CLASSES), by_formula(head, x, sphere(m), lengths))
    soft = SphereFace(3, 3, margin=m, softness=5.0).double()
    psi = sphere(m)
    expected = by_formula(soft, x, lambda t: (5 * math.cos(t) + psi(t)) / 6, lengths)
    torch.testing.assert_close(soft(x, CLASSES), expected)


def test_sphereface_psi_falls_from_0_to_pi() -> None:
    theta = torch.linspace(0, math.pi, 500, dtype=torch.float64)
    psi = SphereFace(2).lowered(theta.cos())
    assert (psi.diff() < 0).all()
    assert psi[0].item() == pytest.approx(1)
    assert psi[-1].item() == pytest.approx(-7)


def test_cosface() -> None:
    x, head = randn(7, 3, seed=6), CosFace(3, 3, size=8.0).double()
    expected = by_formula(head, x, lambda t: math.cos(t) - 0.35, [8.0] * 7)
    torch.testing.assert_close(head(x, CLASSES), expected)


def test_arcface() -> None:
    x, head = randn(7, 3, seed=6), ArcFace(3, 3, size=8.0).double()

    def lower(theta: float) -> float:
        if theta < math.pi - 0.5:
            return math.cos(theta + 0.5)
        return math.cos(theta) - 0.5 * math.sin(0.5)

    torch.testing.assert_close(head(x, CLASSES), by_formula(head, x, lower, [8.0] * 7))
    theta = torch.linspace(0, math.pi, 500, dtype=torch.float64)
    assert (head.lowered(theta.cos()).diff() < 0).all()


@pytest.mark.parametrize("name", ["sphereface", "cosface", "arcface"])
def test_margin_heads(name: str) -> None:
    torch.manual_seed(0)
    head = loss(name, classes=3, features=3).double()
    x = randn(7, 3, seed=7)

    def value(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(head, {"weight": weight}, (x, CLASSES))

    assert gradcheck(value, (x, head.weight))
    plain = functional.cross_entropy(head.scores(x), CLASSES)
    assert head(x, CLASSES) > plain  # the margin makes it harder
    torch.testing.assert_close(head.cosines(x), angles(head, x))


@pytest.mark.parametrize("name", ["sphereface", "cosface", "arcface"])
def test_margin_heads_at_their_corners(name: str) -> None:
    """Features equal to, opposite to, and without any direction."""
    head = loss(name, classes=2, features=2).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    x = torch.tensor([[3.0, 0.0], [-2.0, 0.0], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = head(x, torch.tensor([0, 0, 1]))
    assert value.isfinite()
    for gradient in torch.autograd.grad(value, (x, head.weight)):
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 1e8


def test_errors() -> None:
    with pytest.raises(RecipeError, match=r"^sphereface: margin must be 1, 2, 3 or 4, got 5$"):
        SphereFace(3, margin=5)
    with pytest.raises(RecipeError, match=r"^sphereface: softness must be at least 0, got -1$"):
        SphereFace(3, softness=-1)
    with pytest.raises(RecipeError, match=r"^arcface: margin must be in \[0, pi\] radians, got 4$"):
        ArcFace(3, margin=4)
    with pytest.raises(RecipeError, match=r"^loss 'arcface' needs option 'classes'; .*$"):
        loss("arcface")
