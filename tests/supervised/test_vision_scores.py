"""Detections and verification, on answers small enough to work out by hand."""

import pytest
import torch

from backlit.errors import DataError
from backlit.supervised import detection_scores, detections, verification


def cell(box: list[float], scores: list[float]) -> list[float]:
    return [*box, *(torch.tensor(scores).logit().tolist())]


LEFT, RIGHT, SHIFTED = [0, 0, 0.4, 1], [0.6, 0, 1, 1], [0, 0.1, 0.4, 1]


def test_the_surest_of_overlapping_boxes_stays() -> None:
    cells = [cell(LEFT, [0.6, 0.1]), cell(SHIFTED, [0.9, 0.1]), cell(RIGHT, [0.1, 0.7])]
    cells.append(cell([0, 0, 1, 1], [0.2, 0.2]))
    (found,) = detections(torch.tensor(cells).view(1, 2, 2, 6), least=0.3)
    torch.testing.assert_close(
        found, torch.tensor([[*SHIFTED, 0.9, 0.0], [*RIGHT, 0.7, 1.0]]), atol=1e-6, rtol=0
    )
    (none,) = detections(torch.tensor(cells).view(1, 2, 2, 6), least=0.95)
    assert none.shape == (0, 6)


def target(*rows: list[float]) -> torch.Tensor:
    empty = [[0.0] * 6] * (2 - len(rows))
    return torch.tensor([*rows, *empty])


def test_scores_by_hand() -> None:
    targets = torch.stack([target([*LEFT, 1, 0], [*RIGHT, 1, 0]), target()])
    found = [
        # Right, double (wrong), right: precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1.
        torch.tensor([[*LEFT, 0.9, 0], [*LEFT, 0.8, 0], [*RIGHT, 0.7, 0]]),
        torch.zeros(0, 6),
    ]
    scores = detection_scores(found, targets)
    assert scores["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["recall"] == scores["mean_iou"] == pytest.approx(1)
    # What is found where there is nothing comes between.
    found[1] = torch.tensor([[*LEFT, 0.75, 0]])
    assert detection_scores(found, targets)["average_precision"] == pytest.approx((1 + 0.5) / 2)


def test_perfect_and_nothing() -> None:
    targets = torch.stack([target([*LEFT, 1, 0], [*RIGHT, 0, 1])])
    right = [torch.tensor([[*LEFT, 0.9, 0], [*RIGHT, 0.4, 1]])]
    assert detection_scores(right, targets) == pytest.approx(
        {"average_precision": 1, "mean_iou": 1, "precision": 1, "recall": 1}
    )
    wrong_kind = [torch.tensor([[*LEFT, 0.9, 1]])]
    for found in (wrong_kind, [torch.zeros(0, 6)]):
        assert set(detection_scores(found, targets).values()) == {0.0}
    with pytest.raises(DataError, match=r"as many pictures as targets, .* got 0 for \(1, 2, 6\)"):
        detection_scores([], targets)


def test_verification() -> None:
    people = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0.1], [3.0, 0.0], [0.0, 1.0], [0.1, 2.0]])
    assert verification(apart, people) == 1.0
    assert verification(torch.ones(4, 2), people) == 0.5
    skm = pytest.importorskip("sklearn.metrics")
    torch.manual_seed(0)
    features, people = torch.randn(30, 3), torch.randint(0, 4, (30,))
    unit = torch.nn.functional.normalize(features.double())
    i, j = torch.triu_indices(30, 30, 1)
    expected = skm.roc_auc_score(people[i] == people[j], (unit[i] * unit[j]).sum(1))
    assert verification(features, people) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(DataError, match="pairs of one person and of two, got 0 and 1"):
        verification(torch.ones(2, 2), torch.tensor([0, 1]))
