"""The bundled emoji as labelled pictures: a class for each group."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from torch.nn.functional import interpolate

import backlit.data
from backlit.registry import Count
from backlit.train.tasks.task import Task, from_labelled

_STORED_PX = 64


def emoji(
    groups: Sequence[str] | None = None,
    style: Literal["3d", "flat"] = "3d",
    size: Count = _STORED_PX,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
) -> Task:
    """Emoji with their group to be told.

    Args:
        groups: at least 2 groups, such as ["animals", "food"]; all by default.
        style: "3d" (default) or "flat".
        size: edge in pixels, default 64; above that they are enlarged, bilinearly.
        validation, test, seed: as `backlit.data.labelled_pictures`.
    """
    found = backlit.data.emoji(style, groups, size=min(size, _STORED_PX))
    data = backlit.data.labelled_pictures(found, "emoji", validation, test, seed)
    if size > _STORED_PX:
        larger = interpolate(data.inputs, (size, size), mode="bilinear", align_corners=False)
        fact = f"enlarged from {_STORED_PX} to {size} pixels, bilinearly"
        data = replace(data, inputs=larger, facts=(*data.facts, fact))
    return from_labelled(data)
