"""What a finished supervised run leaves: scores with their protocol, curves, the verdict."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import backlit
from backlit.supervised import Samples
from backlit.train.curves import Curve, write_curves
from backlit.train.files import write_whole
from backlit.train.log import RunLog
from backlit.train.overfitting import Overfitting, averaged, overfitting
from backlit.train.trainable import Evaluates

Measure = Callable[[Any, Samples], dict[str, float]]
"""Further scores of what was trained on a set, by name."""


def write_scores(
    path: Path,
    trained: Evaluates,
    step: int,
    how: str,
    sets: Mapping[str, Samples],
    measure: Measure | None = None,
) -> dict[str, Any]:
    """Write and return scores.json: each data set's scores beside how they were taken.

    Args:
        path: the file, written whole or not at all.
        trained: with the parameters to be judged.
        step: the step these parameters are of.
        how: why these ("last step", "lowest val_loss").
        sets: "validation", "test" -> the samples.
        measure: further scores of a set.
    """
    scores: dict[str, Any] = {
        "protocol": {
            "parameters": how,
            "step": step,
            "mode": "evaluation: no dropout, batch norm by its running figures",
            "backlit": backlit.__version__,
        }
    }
    for name, data in sets.items():
        inputs: dict[str, Any] = dict(data.inputs)
        found: dict[str, Any] = dict(trained.evaluate(data.x, data.y, **inputs))
        if "accuracy" in found:
            found = trained.scores(data.x, data.y, data.classes, **inputs).as_dict() | found
        if measure is not None:
            measured = measure(trained, data)
            scores["protocol"]["measured"] = list(measured)
            found |= measured
        scores[name] = {"data": data.name, "key": data.key, "samples": len(data)} | found
    write_whole(path, (json.dumps(scores, indent=1) + "\n").encode(), "scores")
    return scores


def judge(log: RunLog) -> Overfitting:
    """The verdict on a run's curves."""
    return overfitting(_training(log, "loss"), log.history("val_loss"))


def draw_curves(path: Path, log: RunLog, best_step: int | None) -> None:
    """Draw a run's curves: loss, and accuracy where there is one."""
    panels = {}
    for name in ("loss", "accuracy"):
        training, validation = _training(log, name), log.history(f"val_{name}")
        if training:
            # Between validations, as the verdict takes them; every step where there are none.
            steps = [step for step, _ in validation]
            mean = list(zip(steps, averaged(training, steps), strict=True))
            panels[name] = {"training": mean if len(mean) > 2 else training}
            if validation:
                panels[name]["validation"] = validation
    write_curves(path, panels, best_step)


def _training(log: RunLog, name: str) -> Curve:
    """A metric of the steps; of the loss, the part that validation knows too."""
    return (log.history("data_loss") if name == "loss" else []) or log.history(name)
