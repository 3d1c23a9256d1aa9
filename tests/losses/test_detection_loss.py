"""The detector's loss: equal to its parts, one cell for each object, capturable and checked."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from backlit.errors import DataError, RecipeError
from backlit.losses import CIoU, Detection, FeatureSoftmax, Focal, loss


def outputs(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    raw = torch.rand(2, 2, 3, 6, generator=generator, dtype=torch.float64)
    first = raw[..., :2] * 0.5
    boxes = torch.cat([first, first + 0.1 + raw[..., 2:4] * 0.4], -1)
    return torch.cat([boxes, raw[..., 4:] * 2 - 1], -1).requires_grad_()


def targets() -> Tensor:
    found = torch.zeros(2, 2, 6, dtype=torch.float64)
    found[0, 0] = torch.tensor([0.1, 0.1, 0.5, 0.4, 1, 0])  # middle (0.3, 0.25): row 0, column 0
    found[0, 1] = torch.tensor([0.7, 0.5, 1.0, 1.0, 0, 1])  # middle (0.85, 0.75): row 1, column 2
    return found


def test_it_is_the_sum_of_its_parts() -> None:
    given, wanted = outputs(), torch.zeros(2, 2, 3, 2, dtype=torch.float64)
    wanted[0, 0, 0, 0] = wanted[0, 1, 2, 1] = 1
    focal = Focal(reduction="sum")(given[..., 4:], wanted)
    boxes = torch.stack([given[0, 0, 0, :4], given[0, 1, 2, :4]])
    apart = CIoU(reduction="sum")(boxes, targets()[0, :, :4])
    expected = (focal + 3 * apart) / 2
    torch.testing.assert_close(Detection(box_weight=3.0)(given, targets()), expected)


def test_nothing_there() -> None:
    given = outputs()
    value = Detection(gamma=0.0, alpha=None)(given, torch.zeros_like(targets()))
    torch.testing.assert_close(value, softplus(given[..., 4:]).sum())


def test_gradient() -> None:
    assert torch.autograd.gradcheck(
        lambda given: Detection(box="giou")(given, targets()), (outputs(),)
    )


def test_refused() -> None:
    with pytest.raises(RecipeError, match=r"box must be ciou, diou, giou, iou, got 'l1'"):
        loss("detection", box="l1")
    with pytest.raises(RecipeError, match=r"box_weight must be at least 0, got -1.0"):
        Detection(box_weight=-1.0)
    with pytest.raises(DataError, match=r"expected outputs \(N, H, W, 4 \+ C\) .* \(2, 2, 5\)"):
        Detection()(outputs(), targets()[..., :5])


def test_softmax_of_features_with_center() -> None:
    torch.manual_seed(0)
    made = FeatureSoftmax(3, 2, center=0.5)
    x, y = torch.randn(5, 2), torch.tensor([0, 1, 2, 1, 0])
    assert made.gather is not None
    expected = torch.nn.functional.cross_entropy(made.scores(x), y) + 0.5 * made.gather(x, y)
    torch.testing.assert_close(made(x, y), expected)
    assert len(list(FeatureSoftmax(3).parameters())) == 2
    with pytest.raises(RecipeError, match="center must be at least 0, got -1"):
        FeatureSoftmax(3, center=-1.0)
