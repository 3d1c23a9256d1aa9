"""A set on one page of text: sizes, classes, parts, figures, samples, odd ones; its pictures."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from backlit.data.labelled import PARTS, Labelled, split
from backlit.data.look import describe
from backlit.data.pictures import PictureSet

MOST = 12  # rows of a table; the rest is counted
SHOWN = 5  # samples
COLUMNS = 6  # of a table
WIDE = 60  # characters of a cell


def summary(data: Labelled | PictureSet) -> str:
    """What a set holds, for reading.

    Args:
        data: a set with or without targets.

    Returns:
        Lines of text: size, parts and classes, figures before standardising, what was done,
        samples, and odd ones (skipped files, pictures of one colour, doubles).
    """
    return _pictures(data) if isinstance(data, PictureSet) else _labelled(data)


def sample_pictures(data: Labelled | PictureSet, each: int = 8) -> np.ndarray | None:
    """Pictures to be laid out by `grid(pictures, columns=each)`: a class a row, at most 12.

    Args:
        data: any set.
        each: pictures in a row; where a class has fewer, white.

    Returns:
        uint8 (N, H, W, C); None where the samples are no pictures.
    """
    if not isinstance(data, PictureSet) and data.inputs.ndim != 4:
        return None
    labels = data.labels if isinstance(data, PictureSet) else data.targets.numpy()
    if labels is None or labels.ndim != 1:
        labels = np.arange(len(data)) // each
    rows = []
    for kind in np.unique(labels)[:MOST]:
        members = np.flatnonzero(labels == kind)[:each]
        if isinstance(data, PictureSet):
            found = data.pictures[members]
        else:
            raw = _raw(data, torch.from_numpy(members)).mul(255).round().clamp(0, 255)
            found = raw.to(torch.uint8).permute(0, 2, 3, 1).numpy()  # (N, H, W, C)
        white = np.full((each - len(found), *found.shape[1:]), 255, np.uint8)
        rows.append(np.concatenate([found, white]))
    return np.concatenate(rows)


def _pictures(pictures: PictureSet) -> str:
    about = describe(pictures)
    size = f"{about['channels']}x{about['size_px']}x{about['size_px']}"
    lines = [f"{about['count']:,} pictures of {size}, uint8"]
    if pictures.labels is not None:
        labels = torch.from_numpy(pictures.labels.copy())
        parts = split(len(labels), 0.15, 0.15, 0, labels)
        lines += _classes(pictures.classes, labels, parts)
    for name in ("mean", "std"):
        lines.append(f"{name} of each channel, 0..1: {', '.join(map(str, about[name]))}")
    lines += _odd([f"{name}: {reason}" for name, reason in about["odd"]])
    return "\n".join(lines)


def _labelled(data: Labelled) -> str:
    kind = str(data.inputs.dtype).removeprefix("torch.")
    shape = "x".join(map(str, data.inputs.shape[1:]))
    lines = [f"{data.name}: {len(data):,} samples of {shape}, {kind}"]
    parts = [data.part(part) for part in PARTS]
    if data.targets.ndim == 1 and data.classes:
        lines += _classes(data.classes, data.targets, parts)
    else:
        lines += aligned([["", *PARTS], ["samples", *(f"{len(part):,}" for part in parts)]])
    if data.inputs.is_floating_point():
        lines += _figures(data)
    else:
        lines += _tokens(data)
    lines += [f"- {fact}" for fact in data.facts]
    if samples := _samples(data):
        lines += ["", *aligned(samples)]
    lines += _odd(_oddities(data))
    return "\n".join(lines)


def _classes(names: Sequence[str], targets: Tensor, parts: Sequence[Tensor]) -> list[str]:
    counts = [torch.bincount(targets[part], minlength=len(names)).tolist() for part in parts]
    rows = [["class", *PARTS]]
    rows += [[name, *(f"{column[i]:,}" for column in counts)] for i, name in enumerate(names)]
    more = [f"... and {len(names) - MOST} more"] if len(names) > MOST else []
    total = ["all", *(f"{len(part):,}" for part in parts)]
    return [*aligned([*rows[: MOST + 1], total]), *more]


def _figures(data: Labelled) -> list[str]:
    raw = _raw(data, data.train)
    if not data.columns or raw.ndim != 2:
        low, high, mean = map(_number, (raw.min(), raw.max(), raw.mean()))
        std = _number(raw.std(correction=0))
        return [f"training values {low}..{high}, mean {mean}, std {std}"]
    rows = [["column", "mean", "std", "least", "largest"]]
    for name, column in list(zip(data.columns, raw.T, strict=True))[:MOST]:
        figures = column.mean(), column.std(correction=0), column.min(), column.max()
        rows.append([name, *map(_number, figures)])
    more = [f"... and {len(data.columns) - MOST} more"] if len(data.columns) > MOST else []
    return ["", *aligned(rows), *more, ""]


def _tokens(data: Labelled) -> list[str]:
    words = _words(data)
    seen = data.inputs[data.train]
    if data.mask is not None:
        seen = seen[data.mask[data.train]]
    counts = torch.bincount(seen.flatten(), minlength=len(words))
    top = counts.argsort(descending=True, stable=True)[:MOST].tolist()
    said = ", ".join(f"{words[token]!r} {int(counts[token]):,}" for token in top)
    return [f"most frequent training tokens: {said}"]


def _samples(data: Labelled) -> list[list[str]]:
    """The first training samples as cells; none of pictures, which are drawn."""
    if data.inputs.ndim == 4:
        return []
    chosen = data.train[:SHOWN]
    names = ["sample"]
    if not data.inputs.is_floating_point():
        rows = [[_short(_sentence(data, index))] for index in chosen.tolist()]
    elif data.inputs.ndim == 2 and data.columns:
        names = list(data.columns[:COLUMNS])
        rows = [[_number(value) for value in row[:COLUMNS]] for row in _raw(data, chosen)]
    else:
        names = [f"last {COLUMNS} values"]
        rows = [
            [", ".join(_number(value) for value in row.flatten()[-COLUMNS:])]
            for row in _raw(data, chosen)
        ]
    targets = [_target(data, index) for index in chosen.tolist()]
    body = [[*row, target] for row, target in zip(rows, targets, strict=True)]
    return [[*names, "target"], *body]


def _sentence(data: Labelled, index: int) -> str:
    if data.names:
        return data.names[index]
    words = _words(data)
    space = " " if any(len(word) > 1 for word in words[2:]) else ""
    return space.join(words[token] for token in data.inputs[index].tolist())


def _target(data: Labelled, index: int) -> str:
    value = data.targets[index]
    if not data.classes:
        raw = value.flatten() * data.target_std + data.target_mean
        return ", ".join(_number(number) for number in raw[:COLUMNS])
    return data.classes[int(value)] if value.ndim == 0 else "the next tokens"


def _oddities(data: Labelled) -> list[str]:
    part_of = {i: part for part in PARTS for i in data.part(part).tolist()}
    odd: list[str] = []
    first: dict[bytes, int] = {}
    for i, sample in enumerate(data.inputs.numpy()):
        name = data.names[i] if data.names else f"sample {i}"
        earlier = first.setdefault(hashlib.sha256(sample.tobytes()).digest(), i)
        if earlier != i:
            parts = f"{part_of.get(earlier, 'no part')} and {part_of.get(i, 'no part')}"
            odd.append(f"{name}: same inputs as sample {earlier} ({parts})")
        elif sample.ndim == 3 and (sample == sample[:, :1, :1]).all():
            odd.append(f"{name}: one colour")
    return odd


def _odd(odd: list[str]) -> list[str]:
    if not odd:
        return ["odd: none"]
    more = [f"  ... and {len(odd) - SHOWN:,} more"] if len(odd) > SHOWN else []
    return [f"odd: {len(odd):,}", *(f"  {line}" for line in odd[:SHOWN]), *more]


def _raw(data: Labelled, indices: Tensor) -> Tensor:
    """Inputs before they were standardised."""
    inputs = data.inputs[indices]
    if data.mean is None or data.std is None:
        return inputs
    raw = inputs.mul_(data.std).add_(data.mean)  # in place on a copy, for it was indexed
    return raw.masked_fill_(raw.abs() < 1e-6 * data.std, 0)  # a zero that float32 did not give back


def _words(data: Labelled) -> tuple[str, ...]:
    return data.columns or data.classes


def _number(value: Tensor) -> str:
    return f"{float(value):.4g}"


def _short(text: str) -> str:
    text = text.replace("\n", "\\n")
    return text if len(text) <= WIDE else f"{text[: WIDE - 3]}..."


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
