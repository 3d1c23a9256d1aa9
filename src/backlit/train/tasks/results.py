"""The result picture of a classifier (confusion matrix, samples) and of a regression (scatter)."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from backlit.data import Labelled
from backlit.supervised import Samples, Supervised
from backlit.train.files import write_whole

RESULT = "result.png"
_EDGE_PX, _NAMES_PX, _HEAD_PX = 480, 110, 30
_COLUMNS, _ROWS, _CELL_PX, _LABEL_PX = 6, 4, 84, 30
_LARGEST = 40  # classes whose names and counts are written into the matrix
_INK, _WRONG = (30, 30, 30), (190, 40, 30)


def result_picture(
    judged: Samples, data: Labelled
) -> Callable[[Supervised, Path], Path | None] | None:
    """What draws result.png for these samples; None where a sample has many targets.

    Args:
        judged: the samples whose answers are drawn.
        data: where they come from: its mean and std give pictures and numbers back as they were.
    """
    if data.classes and judged.y.dim() == 1:
        pictures = _pictures(judged, data)
        return partial(draw_classes, judged, pictures)
    if judged.y.is_floating_point() and judged.y[0].numel() == 1:
        return partial(draw_numbers, judged, data.target_mean, data.target_std)
    return None


def draw_classes(
    judged: Samples, pictures: np.ndarray | None, learner: Supervised, folder: Path
) -> Path:
    """Draw the confusion matrix and, beside it, samples with their answers, the wrong ones first.

    Args:
        judged: the samples.
        pictures: the same as uint8 (N, H, W, C), or None.
    """
    inputs: dict[str, Any] = dict(judged.inputs)
    found = learner.scores(judged.x, judged.y, judged.classes, **inputs)
    matrix = _matrix(np.array(found.confusion), judged.classes)
    sheet = matrix
    if pictures is not None:
        answers = learner.predicted(learner.predict(judged.x, **inputs))
        samples = _samples(pictures, judged, answers)
        sheet = Image.new("RGB", (matrix.width + samples.width, matrix.height), "white")
        sheet.paste(matrix, (0, 0))
        sheet.paste(samples, (matrix.width, 0))
    title = f"{judged.name}: accuracy {found.accuracy:.4f} of {len(judged):,}"
    ImageDraw.Draw(sheet).text((10, 8), title, _INK, ImageFont.load_default(15))
    return _written(folder / RESULT, sheet)


def draw_numbers(
    judged: Samples, mean: float, std: float, learner: Supervised, folder: Path
) -> Path:
    """Draw the prediction over the truth, in the target's own unit.

    Args:
        judged: the samples.
        mean, std: what the targets were standardised with.
    """
    inputs: dict[str, Any] = dict(judged.inputs)
    truth = judged.y.flatten() * std + mean
    predicted = learner.predict(judged.x, **inputs).flatten() * std + mean
    rmse = float((predicted - truth).square().mean().sqrt())
    low, high = float(min(truth.min(), predicted.min())), float(max(truth.max(), predicted.max()))
    span = (high - low) or 1.0
    sheet = Image.new("RGB", (_EDGE_PX + _NAMES_PX, _EDGE_PX + 2 * _HEAD_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    left, top, edge = 70, _HEAD_PX, _EDGE_PX
    draw.rectangle([left, top, left + edge, top + edge], outline=(200, 200, 200))
    draw.line([(left, top + edge), (left + edge, top)], (200, 200, 200))
    for part in range(5):
        value, along = low + span * part / 4, edge * part / 4
        draw.text((left - 6, top + edge - along), f"{value:.3g}", _INK, font, anchor="rm")
        draw.text((left + along, top + edge + 5), f"{value:.3g}", _INK, font, anchor="ma")
    for t, p in zip(truth.tolist(), predicted.tolist(), strict=True):
        x, y = left + edge * (t - low) / span, top + edge * (high - p) / span
        draw.ellipse([x - 2.5, y - 2.5, x + 2.5, y + 2.5], (31, 119, 180))
    title = f"{judged.name}: predicted over true, RMSE {rmse:.4g}"
    draw.text((10, 8), title, _INK, ImageFont.load_default(15))
    return _written(folder / RESULT, sheet)


def _pictures(judged: Samples, data: Labelled) -> np.ndarray | None:
    if judged.x.dim() != 4 or judged.x.shape[1] not in (1, 3):
        return None
    x = judged.x if data.mean is None or data.std is None else judged.x * data.std + data.mean
    bytes_: Tensor = x.clamp(0, 1).mul(255).round().to(torch.uint8)
    return bytes_.permute(0, 2, 3, 1).contiguous().numpy()


def _matrix(counts: np.ndarray, names: tuple[str, ...]) -> Image.Image:
    """Rows are truths, columns answers; the share of the row is the depth of the colour."""
    n = len(names)
    cell = max(1, _EDGE_PX // n)
    width, height = _NAMES_PX + cell * n + 20, _HEAD_PX + cell * n + _NAMES_PX
    sheet = Image.new("RGB", (width, max(height, _HEAD_PX + _ROWS * (_CELL_PX + _LABEL_PX))))
    sheet.paste((255, 255, 255), (0, 0, *sheet.size))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(min(13, max(7, cell - 4)))
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    for i in range(n):
        for j in range(n):
            x, y = _NAMES_PX + j * cell, _HEAD_PX + i * cell
            wrong = np.array((214, 94, 20) if i != j else (31, 119, 180))
            colour = tuple((255 - (255 - wrong) * share[i, j] ** 0.5).astype(int).tolist())
            draw.rectangle([x, y, x + cell - 2, y + cell - 2], colour)
            if n <= _LARGEST and counts[i, j]:
                middle = (x + cell / 2 - 1, y + cell / 2 - 1)
                draw.text(middle, str(counts[i, j]), _INK, font, anchor="mm")
        if n <= _LARGEST:
            middle_y = _HEAD_PX + i * cell + cell / 2
            draw.text((_NAMES_PX - 6, middle_y), names[i][:15], _INK, font, anchor="rm")
            _upright(sheet, names[i][:15], _NAMES_PX + i * cell + cell // 2, _HEAD_PX + cell * n)
    return sheet


def _upright(sheet: Image.Image, text: str, middle_x: int, top_y: int) -> None:
    strip = Image.new("RGB", (_NAMES_PX, 18), "white")
    font = ImageFont.load_default(13)
    ImageDraw.Draw(strip).text((_NAMES_PX - 4, 9), text, _INK, font, anchor="rm")
    sheet.paste(strip.rotate(90, expand=True), (middle_x - 9, top_y))


def _samples(pictures: np.ndarray, judged: Samples, answers: Tensor) -> Image.Image:
    wrong = (answers != judged.y).nonzero().flatten().tolist()
    right = (answers == judged.y).nonzero().flatten().tolist()
    half = _COLUMNS * _ROWS // 2
    chosen = [*wrong[:half], *right][: _COLUMNS * _ROWS]
    step = _CELL_PX + _LABEL_PX
    width, height = _COLUMNS * (_CELL_PX + 12), _HEAD_PX + _ROWS * step
    sheet = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, index in enumerate(chosen):
        x = (place % _COLUMNS) * (_CELL_PX + 12)
        y = _HEAD_PX + (place // _COLUMNS) * step
        array = pictures[index]
        picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
        scaled = picture.resize((_CELL_PX, _CELL_PX), Image.Resampling.NEAREST)
        sheet.paste(scaled.convert("RGB"), (x, y))
        truth, answer = judged.classes[int(judged.y[index])], judged.classes[int(answers[index])]
        draw.text((x, y + _CELL_PX + 1), answer[:14], _INK if truth == answer else _WRONG, font)
        if truth != answer:
            draw.text((x, y + _CELL_PX + 13), f"is {truth[:12]}", _INK, font)
    return sheet


def _written(path: Path, sheet: Image.Image) -> Path:
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_whole(path, buffer.getvalue(), "picture")
    return path
