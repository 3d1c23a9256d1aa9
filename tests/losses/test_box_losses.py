"""Overlap of boxes: closed forms, corner cases, and gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from backlit.errors import DataError, RecipeError
from backlit.losses import CIoU, IoU, ciou, diou, giou, iou, loss

OVERLAPS = {"iou": iou, "giou": giou, "diou": diou, "ciou": ciou}


def box(*corners: float) -> Tensor:
    return torch.tensor(corners, dtype=torch.float64)


UNIT = box(0, 0, 2, 2)

# (a, b, IoU, |C|, centre distance squared, diagonal squared), worked out on squared paper.
CASES = {
    "equal": (UNIT, UNIT, 1.0, 4, 0, 8),
    "shifted": (UNIT, box(1, 1, 3, 3), 1 / 7, 9, 2, 18),
    "containment": (box(0, 0, 4, 4), box(1, 1, 2, 3), 2 / 16, 16, 0.25, 32),
    "no overlap": (UNIT, box(4, 0, 6, 2), 0.0, 12, 16, 40),
    "touching edge": (UNIT, box(2, 0, 4, 2), 0.0, 8, 4, 20),
    "touching corner": (UNIT, box(2, 2, 4, 4), 0.0, 16, 8, 32),
    "zero width": (box(1, 0, 1, 2), UNIT, 0.0, 4, 0, 8),
    "zero height": (box(0, 1, 2, 1), UNIT, 0.0, 4, 0, 8),
    "point inside": (box(1, 1, 1, 1), UNIT, 0.0, 4, 0, 8),
    "point outside": (box(4, 4, 4, 4), UNIT, 0.0, 16, 18, 32),
    "two points": (box(0, 0, 0, 0), box(3, 4, 3, 4), 0.0, 12, 25, 25),
    "same point": (box(1, 1, 1, 1), box(1, 1, 1, 1), 0.0, 0, 0, 0),
    "same line": (box(1, 0, 1, 2), box(1, 0, 1, 2), 0.0, 0, 0, 4),
}


def area(b: Tensor) -> float:
    return ((b[2] - b[0]) * (b[3] - b[1])).item()


@pytest.mark.parametrize("case", CASES)
def test_values(case: str) -> None:
    a, b, overlap, around, distance, diagonal = CASES[case]
    union = (area(a) + area(b)) / (1 + overlap)
    assert iou(a, b).item() == pytest.approx(overlap, abs=1e-15)
    expected = overlap - ((around - union) / around if around else 0)
    assert giou(a, b).item() == pytest.approx(expected, abs=1e-15)
    expected = overlap - (distance / diagonal if diagonal else 0)
    assert diou(a, b).item() == pytest.approx(expected, abs=1e-15)

    def angle(b: Tensor) -> float:
        return math.atan2((b[2] - b[0]).item(), (b[3] - b[1]).item())

    v = 4 / math.pi**2 * (angle(a) - angle(b)) ** 2
    expected -= v * v / (1 - overlap + v) if v else 0
    assert ciou(a, b).item() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("name", OVERLAPS)
@pytest.mark.parametrize("case", CASES)
def test_no_nan_in_value_or_gradient(case: str, name: str) -> None:
    a, b, *_ = (value.clone().requires_grad_() for value in CASES[case][:2])
    value = OVERLAPS[name](a, b)
    assert value.isfinite()
    for gradient in torch.autograd.grad(value, (a, b)):
        assert gradient.isfinite().all()


def test_inverted_box_counts_as_empty() -> None:
    """A network may predict x2 < x1."""
    inverted = box(3, 0, 1, 2).requires_grad_()
    for overlap in OVERLAPS.values():
        value = overlap(inverted, UNIT)
        assert value <= 0
        assert torch.autograd.grad(value, inverted)[0].isfinite().all()


def test_giou_and_diou_pull_boxes_apart_together() -> None:
    far = box(4, 0, 6, 2).requires_grad_()
    assert torch.autograd.grad(iou(far, UNIT), far)[0].abs().max() == 0
    for overlap in (giou, diou, ciou):
        gradient = torch.autograd.grad(overlap(far, UNIT), far)[0]
        assert gradient[0] < 0 or gradient[2] < 0  # rising means moving left


def test_diou_moves_a_contained_box_where_giou_equals_iou() -> None:
    inside = box(0.2, 0.2, 1, 1)
    assert giou(inside, UNIT) == iou(inside, UNIT)
    assert diou(inside, UNIT) < iou(inside, UNIT)


def test_ciou_alpha_is_a_constant() -> None:
    a, b = box(0.1, 0.3, 2.0, 1.4).requires_grad_(), box(0, 0, 1.5, 2)
    w, h = a[2] - a[0], a[3] - a[1]
    v = 4 / math.pi**2 * (math.atan(1.5 / 2) - torch.atan(w / h)) ** 2
    alpha = (v / (1 - iou(a, b) + v)).item()
    (expected,) = torch.autograd.grad(diou(a, b) - alpha * v, a)
    (ours,) = torch.autograd.grad(ciou(a, b), a)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["iou", "giou", "diou"])
def test_gradients(name: str) -> None:
    a = torch.stack([box(0.1, 0.3, 2.0, 1.4), box(0, 0, 5, 4), box(3.1, 3, 4, 6)])
    b = torch.stack([box(0, 0, 1.5, 2), box(1, 1.5, 2, 3), box(0.2, 0, 1, 2)])
    assert gradcheck(loss(name), (a.requires_grad_(), b.requires_grad_()))


corner = st.floats(-3, 3, allow_nan=False, width=32)
side = st.floats(0, 3, allow_nan=False, width=32)
boxes = st.tuples(corner, corner, side, side).map(
    lambda t: box(t[0], t[1], t[0] + t[2], t[1] + t[3])
)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(boxes, boxes)
def test_order_bounds_and_symmetry(a: Tensor, b: Tensor) -> None:
    a.requires_grad_()
    plain, general, distance, complete = (overlap(a, b) for overlap in OVERLAPS.values())
    tiny = 1e-9
    assert -tiny <= plain <= 1 + tiny
    assert -1 - tiny <= general <= plain + tiny
    assert -1 - tiny <= distance <= plain + tiny
    assert complete <= distance + tiny
    for overlap in OVERLAPS.values():
        torch.testing.assert_close(overlap(a, b), overlap(b, a))
        assert torch.autograd.grad(overlap(a, b), a)[0].isfinite().all()


def test_all_pairs_by_broadcasting() -> None:
    a = torch.stack([CASES["shifted"][0], CASES["no overlap"][1]])
    b = torch.stack([CASES["shifted"][1], UNIT, box(0, 0, 1, 1)])
    matrix = iou(a[:, None], b)
    assert matrix.shape == (2, 3)
    torch.testing.assert_close(matrix[0], box(1 / 7, 1, 1 / 4))


def test_reductions() -> None:
    a, b = UNIT.expand(2, 4), torch.stack([UNIT, box(1, 1, 3, 3)])
    torch.testing.assert_close(IoU("none")(a, b), box(0, 6 / 7))
    assert IoU("sum")(a, b).item() == pytest.approx(6 / 7)
    assert IoU()(a, b).item() == pytest.approx(3 / 7)


def test_errors() -> None:
    with pytest.raises(RecipeError, match=r"^box loss: reduction must be .*, got 'max'$"):
        CIoU("max")
    text = r"^box loss: outputs of shape \(2, 4\) need targets of the same shape, got \(4,\); .*$"
    with pytest.raises(DataError, match=text):
        CIoU()(torch.zeros(2, 4), torch.zeros(4))
