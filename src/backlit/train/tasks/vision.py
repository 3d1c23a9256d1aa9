"""Picture tasks from the bundled emoji: boxes around them, faces to recognise, groups."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch.nn.functional import interpolate

import backlit.data
from backlit.data import Labelled
from backlit.nets import LogisticRegression
from backlit.registry import Count
from backlit.supervised import (
    Samples,
    Supervised,
    detection_scores,
    detections,
    verification,
)
from backlit.train.box_picture import box_picture
from backlit.train.drawing import pixels, write_png
from backlit.train.feature_picture import Features, feature_picture
from backlit.train.tasks.results import RESULT
from backlit.train.tasks.task import Show, Task, from_labelled
from backlit.train.weight_picture import weight_picture

_SHOWN = 12
_STORED_PX = 64


def emoji_boxes(
    n: Count = 1500,
    size: Count = 64,
    most: Count = 3,
    kinds: Sequence[str] = backlit.data.KINDS,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Task:
    """Emoji pasted on backgrounds, to be found; options as `backlit.data.emoji_boxes`."""
    data = backlit.data.emoji_boxes(n, size, most, kinds, validation, test, seed)

    def measure(trained: Any, judged: Samples) -> dict[str, float]:
        if not judged.y[..., 4:].any():
            return {}
        return detection_scores(detections(trained.predict(judged.x), least=0.02), judged.y)

    def show(trained: Supervised, folder: Path) -> Path:
        x, y = data.batch(data.test[:_SHOWN] if len(data.test) else data.train[:_SHOWN])
        found = detections(trained.predict(x))
        picture = box_picture(pixels(data, x), y, found, data.classes)
        return write_png(folder / RESULT, picture)

    return from_labelled(data, show=show, measure=measure)


def avatars(
    people: Count = 8,
    views: Count = 80,
    size: Count = 32,
    strangers: int = 8,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Task:
    """Face emoji to be recognised; options as `backlit.data.avatars`.

    Args:
        strangers: further people, never trained on, whose pictures must be told apart by their
            features: "verification_of_strangers"; 0 for none.
    """
    data = backlit.data.avatars(people, views, size, 0, validation, test, seed)
    others = backlit.data.avatars(strangers, 20, size, people, 0, 0, seed) if strangers else None

    usual = from_labelled(data).show

    def measure(trained: Any, judged: Samples) -> dict[str, float]:
        if not _has_features(trained):
            return {}
        found = {}
        if judged.y.bincount().max() > 1:
            found["verification"] = verification(trained.predict(judged.x), judged.y)
        if others is not None:
            features = trained.predict(others.inputs)
            found["verification_of_strangers"] = verification(features, others.targets)
        return found

    def show(trained: Supervised, folder: Path) -> Path | None:
        if not _has_features(trained):
            return None if usual is None else usual(trained, folder)
        x, y = data.batch(data.test if len(data.test) else data.train)
        title = type(trained.rules.objective.module).__name__
        shown = features_of(trained, x, y)
        return write_png(folder / RESULT, feature_picture({title: shown}, data.classes))

    return from_labelled(data, show=show, measure=measure)


def _has_features(trained: Any) -> bool:
    """Whether the network ends in features and the loss makes scores of them."""
    return callable(getattr(trained.rules.objective.module, "scores", None))


def features_of(trained: Supervised, x: torch.Tensor, y: torch.Tensor) -> Features:
    """What a trained embedding makes of pictures, beside its loss's own directions and centres.

    Args:
        x: pictures (N, C, H, W).
        y: the classes, integers (N,).
    """
    own = dict(trained.rules.objective.module.named_parameters())
    directions, centres = own.get("weight"), own.get("gather.centers")
    return Features(
        trained.predict(x),
        y,
        None if directions is None else directions.detach(),
        None if centres is None else centres.detach(),
    )


def emoji_groups(
    groups: Sequence[str] = ("animals", "faces"),
    size: Count = 16,
    style: Literal["3d", "flat"] = "3d",
    validation: float = 0.15,
    test: float = 0.2,
    seed: int = 0,
) -> Task:
    """Groups of emoji as classes.

    Args:
        groups, style, validation, test, seed: as `backlit.data.emoji_groups`.
        size: edge in pixels, default 16; above 64, as they are stored, they are enlarged,
            bilinearly.
    """
    data = backlit.data.emoji_groups(groups, min(size, _STORED_PX), style, validation, test, seed)
    if size > _STORED_PX:
        larger = interpolate(data.inputs, (size, size), mode="bilinear", align_corners=False)
        fact = f"enlarged from {_STORED_PX} to {size} pixels, bilinearly"
        data = replace(data, inputs=larger, facts=(*data.facts, fact))
    return from_labelled(data, show=_weights(data))


def _weights(data: Labelled) -> Show:
    usual = from_labelled(data).show

    def show(trained: Supervised, folder: Path) -> Path | None:
        network = trained.network
        if not isinstance(network, LogisticRegression) or network.linear.out_features != 1:
            return None if usual is None else usual(trained, folder)
        x, y = data.batch(data.test if len(data.test) else data.train)
        chances = trained.predict(x).sigmoid().flatten()
        weights = network.linear.weight.detach().view(data.inputs.shape[1:])
        picture = weight_picture(weights, data.classes, pixels(data, x), chances, y)
        return write_png(folder / RESULT, picture)

    return show
