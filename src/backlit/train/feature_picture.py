"""The picture of features in two dimensions, a colour a class.

Shapes: N samples, F features, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from backlit.train.drawing import COLOURS

_EDGE_PX, _PAD_PX, _TITLE_PX, _LINE_PX = 340, 14, 26, 20


@final
@dataclass(frozen=True)
class Features:
    """What one panel shows.

    Args:
        points: features (N, F); of more than two, the two directions that vary most are drawn.
        classes: integers (N,).
        directions: (C, F), drawn as lines from the origin: the angular losses' class directions.
        centres: (C, F), drawn as crosses: center loss's.
    """

    points: Tensor
    classes: Tensor
    directions: Tensor | None = None
    centres: Tensor | None = None


def feature_picture(
    panels: Mapping[str, Features], names: Sequence[str], columns: int = 3
) -> Image.Image:
    """Features as coloured points, one panel for each loss, with the classes' names below.

    Every panel has the origin in view and one scale for both axes, so that angles are true.

    Args:
        panels: title -> what it shows.
        names: of the C classes.
        columns: panels in a row, default 3.

    Source: Wen et al. 2016, "A Discriminative Feature Learning Approach for Deep Face
    Recognition", figures 2 and 3.
    """
    columns = min(columns, len(panels))
    rows, width = -(-len(panels) // columns), columns * _EDGE_PX
    font = ImageFont.load_default(13)
    across = max(1, width // 230)
    below = -(-len(names) // across) * _LINE_PX + 8
    sheet = Image.new("RGB", (width, rows * (_EDGE_PX + _TITLE_PX) + below), "white")
    for index, (title, shown) in enumerate(panels.items()):
        row, column = divmod(index, columns)
        corner = (column * _EDGE_PX, row * (_EDGE_PX + _TITLE_PX))
        draw = ImageDraw.Draw(sheet)
        draw.text((corner[0] + _PAD_PX, corner[1] + 6), title, "black", font)
        sheet.paste(_panel(shown), (corner[0], corner[1] + _TITLE_PX))
    draw = ImageDraw.Draw(sheet)
    for index, name in enumerate(names):
        row, column = divmod(index, across)
        x, y = _PAD_PX + column * 230, sheet.height - below + 4 + row * _LINE_PX
        draw.ellipse((x, y + 3, x + 10, y + 13), COLOURS[index % len(COLOURS)])
        draw.text((x + 16, y), name, "black", font)
    return sheet


def _panel(shown: Features) -> Image.Image:
    # Drawn at twice the size and made smaller, which smooths the points.
    edge, pad = 2 * _EDGE_PX, 2 * _PAD_PX
    panel = Image.new("RGB", (edge, edge), "white")
    draw = ImageDraw.Draw(panel)
    draw.rectangle((pad, pad, edge - pad, edge - pad), outline="#bbbbbb", width=2)
    points, directions, centres = flat(shown)
    everything = [points, torch.zeros(1, 2)] + ([] if centres is None else [centres])
    low = torch.cat(everything).min(0).values
    high = torch.cat(everything).max(0).values
    middle, reach = (low + high) / 2, float((high - low).max().clamp(min=1e-6)) * 0.53
    scale = (edge / 2 - pad) / reach

    def place(point: Tensor) -> tuple[float, float]:
        x, y = ((point - middle) * scale).tolist()
        return edge / 2 + x, edge / 2 - y

    origin = place(torch.zeros(2))
    for number, direction in enumerate([] if directions is None else directions):
        colour = COLOURS[number % len(COLOURS)]
        along = direction / direction.norm().clamp(min=1e-12)
        far = float((points @ along).clamp(min=0).max()) or reach
        draw.line([origin, place(along * far)], colour, 3)
    for point, number in zip(points, shown.classes.tolist(), strict=True):
        x, y = place(point)
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), COLOURS[number % len(COLOURS)])
    for centre in [] if centres is None else centres:
        x, y = place(centre)
        draw.line([(x - 10, y - 10), (x + 10, y + 10)], "black", 5)
        draw.line([(x - 10, y + 10), (x + 10, y - 10)], "black", 5)
    x, y = origin
    draw.ellipse((x - 6, y - 6, x + 6, y + 6), outline="black", width=3)
    return panel.resize((_EDGE_PX, _EDGE_PX), Image.Resampling.LANCZOS)


def flat(shown: Features) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Points, directions and centres in two dimensions: (N, 2), (C, 2), (C, 2)."""
    points = shown.points.float()
    if points.shape[1] == 2:
        return points, shown.directions, shown.centres
    if points.shape[1] == 1:
        basis = torch.tensor([[1.0, 0.0]])
    else:
        # About the origin, not the mean: the angular losses measure from there.
        basis = torch.linalg.svd(points, full_matrices=False).Vh[:2].T  # (F, 2)
    others = [None if t is None else t.float() @ basis for t in (shown.directions, shown.centres)]
    return points @ basis, others[0], others[1]
