"""What supervised training from a recipe is given: samples, and what only the data can decide.

Shapes: N samples; C H W of a picture, F of a table's row, K numbers of a target.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from backlit.data import Labelled
from backlit.data.labelled import Part
from backlit.supervised import Lanes, Samples, Supervised
from backlit.train.results import Measure
from backlit.train.tasks.results import result_picture

_HELD_OUT: tuple[Part, Part] = ("validation", "test")
Show = Callable[[Supervised, Path], Path | None]
"""Draws a trained network's results into a run folder; returns the picture's path."""
Sample = Callable[[Supervised, int, float, int], str]


@final
@dataclass(frozen=True)
class Task:
    """The data of one run.

    Args:
        train: samples to train on, or lanes whose state is carried from step to step.
        validation: samples to validate on, or None.
        test: samples for the final scores, or None.
        network: what the data decides of the network (classes, size, channels, features,
            vocabulary, ...): a network gets those that it has an option for, and a loss likewise.
        facts: what was done to the data (filled, dropped, scaled), said when a run begins.
        show: draws the task's result picture at the end, or None.
        measure: the task's own scores of a set (an error in its own unit, bits per character),
            beside loss and accuracy, or None.
        sample: draws text from a trained network, (learner, n, temperature, seed) -> text, or None.
        classifier: whether there is an accuracy; None leaves it to the loss.
    """

    train: Samples | Lanes
    validation: Samples | None = None
    test: Samples | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    show: Show | None = None
    measure: Measure | None = None
    sample: Sample | None = None
    classifier: bool | None = None


def from_labelled(
    data: Labelled,
    network: Mapping[str, Any] | None = None,
    show: Show | None = None,
    measure: Measure | None = None,
) -> Task:
    """A data set of `backlit.data` as a task.

    Args:
        data: inputs and targets; `lengths` become the network's argument of that name.
        network: what the data decides of the network; by default of pictures (N, C, H, W)
            channels, size, features and classes, of rows (N, F) features and classes. Where
            targets are K numbers, `classes` and `outputs` are K.
        show: as in `Task`; by default the confusion matrix and some samples, or, of numbers,
            the prediction over the truth.
        measure: as in `Task`.
    """
    train = _samples(data, "train")
    validation, test = (
        _samples(data, part) if len(data.part(part)) else None for part in _HELD_OUT
    )
    return Task(
        train=train,
        validation=validation,
        test=test,
        network=decided(data) if network is None else network,
        facts=data.facts,
        show=show or result_picture(test or validation or train, data),
        measure=measure,
    )


def _samples(data: Labelled, part: Part) -> Samples:
    indices = data.part(part)
    return Samples(
        name=f"{data.name}, {part}",
        x=data.inputs[indices],
        y=data.targets[indices],
        classes=data.classes,
        inputs={} if data.lengths is None else {"lengths": data.lengths[indices]},
    )


def decided(data: Labelled) -> dict[str, Any]:
    """What a data set of pictures or rows decides of a network."""
    shape = data.inputs.shape[1:]
    found: dict[str, Any] = {"features": math.prod(shape)}
    if len(shape) == 3:
        found["channels"] = shape[0]
        if shape[1] == shape[2]:
            found["size"] = shape[1]
    if data.classes:
        return found | {"classes": len(data.classes)}
    outputs = math.prod(data.targets.shape[1:])
    return found | {"classes": outputs, "outputs": outputs}
