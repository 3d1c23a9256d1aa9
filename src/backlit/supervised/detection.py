"""Reading a detector's answer, and how good it is: average precision and mean overlap.

Shapes: N pictures, H W cells, M places for objects, C kinds, K found in one picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backlit.errors import DataError
from backlit.losses import iou


def detections(outputs: Tensor, least: float = 0.3, overlap: float = 0.5) -> list[Tensor]:
    """What a detector found in each picture, the surest first.

    Of boxes that overlap the surest stays (greedy non-maximum suppression over all kinds).

    Args:
        outputs: (N, H, W, 4 + C), boxes and raw scores.
        least: lowest probability that counts.
        overlap: IoU above which two boxes are one object.

    Returns: for each picture (K, 6): x1, y1, x2, y2, probability, kind.
    """
    found = []
    for picture in outputs.flatten(1, 2):  # (H W, 4 + C)
        sure, kind = picture[:, 4:].sigmoid().max(1)
        order = sure.argsort(descending=True, stable=True)
        order = order[sure[order] >= least]
        boxes = picture[order, :4].clamp(0, 1)
        near = iou(boxes[:, None], boxes[None]) > overlap  # (K, K)
        kept: list[int] = []
        for place in range(len(order)):
            if not near[place, kept].any():
                kept.append(place)
        chosen = order[kept]
        columns = [boxes[kept], sure[chosen, None], kind[chosen, None].to(boxes.dtype)]
        found.append(torch.cat(columns, 1))
    return found


def detection_scores(
    found: Sequence[Tensor], targets: Tensor, overlap: float = 0.5, least: float = 0.3
) -> dict[str, float]:
    """How good detections are.

    Going down from the surest, a detection is right if an object of its kind that none before it
    took overlaps it by `overlap`. Average precision is the area under precision over recall, the
    precision at each recall the best at that recall or beyond; its mean is over the kinds that
    occur.

    Args:
        found: as `detections` gives them, with a low `least` so that the curve is whole.
        targets: (N, M, 4 + C), rows of zeros where there is no object.
        overlap: IoU that makes a detection right.
        least: probability from which a detection counts in the other three.

    Returns: ``average_precision``; ``mean_iou``, over all objects the IoU with the best detection
        of their kind, 0 where there is none; ``precision`` and ``recall``.
    Raises: DataError for another number of pictures, or targets without an object.

    Source: Everingham et al. 2010, "The PASCAL Visual Object Classes (VOC) Challenge", section
    4.2, with the area of the challenge's edition of 2010.
    """
    if len(found) != len(targets) or not targets[..., 4:].any():
        raise DataError(
            f"expected detections of as many pictures as targets, with an object, got {len(found)}"
            f" for {tuple(targets.shape)}"
        )
    truth = [target[target[:, 4:].any(1)] for target in targets]  # (objects, 4 + C) each
    precisions = []
    for kind in range(targets.shape[2] - 4):
        total = int(targets[..., 4 + kind].sum())
        if total:
            marks = _marks(found, truth, kind, overlap)
            precisions.append(_area([right for _, right in marks], total))
    sure = [one[one[:, 4] >= least] for one in found]
    best = [
        float(iou(target[None, :4], one[one[:, 5] == target[4:].argmax(), :4]).max())
        if (one[:, 5] == target[4:].argmax()).any()
        else 0.0
        for one, targets_ in zip(sure, truth, strict=True)
        for target in targets_
    ]
    kinds = range(targets.shape[2] - 4)
    right = sum(r for kind in kinds for _, r in _marks(sure, truth, kind, overlap))
    return {
        "average_precision": sum(precisions) / len(precisions),
        "mean_iou": sum(best) / len(best),
        "precision": right / max(sum(map(len, sure)), 1),
        "recall": right / len(best),
    }


def _marks(
    found: Sequence[Tensor], truth: Sequence[Tensor], kind: int, overlap: float
) -> list[tuple[float, bool]]:
    """Probability and whether it is right of each detection of a kind, the surest first."""
    marks = []
    for one, objects in zip(found, truth, strict=True):
        free = objects[objects[:, 4 + kind] > 0, :4]
        for row in one[one[:, 5] == kind]:
            shared = iou(row[None, :4], free)
            hit = len(free) > 0 and float(shared.max()) >= overlap
            marks.append((float(row[4]), hit))
            if hit:
                free = torch.cat([free[: int(shared.argmax())], free[int(shared.argmax()) + 1 :]])
    return sorted(marks, key=lambda mark: -mark[0])


def _area(rights: Sequence[bool], total: int) -> float:
    """Area under the precision envelope over recall."""
    if not rights:
        return 0.0
    right = torch.tensor(rights, dtype=torch.float64)
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1)
    envelope = precision.flip(0).cummax(0).values.flip(0)
    return float((envelope * right).sum()) / total
