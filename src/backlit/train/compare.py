"""Runs side by side: their curves on one scale, the gap of each, and what it says."""

from collections.abc import Sequence
from pathlib import Path

from backlit.errors import RunError
from backlit.train.curves import Curve, write_curves
from backlit.train.log import read_metric
from backlit.train.overfitting import Overfitting, averaged, overfitting


def compare_runs(runs: Sequence[str | Path], path: str | Path) -> dict[str, Overfitting]:
    """Draw the loss curves of several runs, a panel each on one scale, and judge each.

    Args:
        runs: run folders of supervised training with validation, each of another name.
        path: the PNG, written whole or not at all; its folder must exist.

    Returns:
        Name of the folder -> what its curves show.

    Raises:
        RunError: a folder without training or validation losses, two of one name, or a picture
            that cannot be written.
    """
    folders = {Path(run).resolve().name: Path(run) for run in runs}
    if len(folders) != len(runs) or not runs:
        raise RunError(
            f"compare: expected run folders of different names, got {', '.join(map(str, runs))}"
        )
    panels: dict[str, dict[str, Curve]] = {}
    marks: dict[str, int | None] = {}
    verdicts: dict[str, Overfitting] = {}
    for name, folder in folders.items():
        database = folder / "run.db"
        validation = _curve(database, "val_loss")
        try:
            training = _curve(database, "data_loss")
        except RunError:  # without l1 and l2 the loss is the data's alone
            training = _curve(database, "loss")
        steps = [step for step, _ in validation]
        mean = list(zip(steps, averaged(training, steps), strict=True))
        found = verdicts[name] = overfitting(training, validation)
        title = f"{name}: gap {found.gap:.2f}"
        panels[title] = {"training": mean, "validation": validation}
        marks[title] = min(validation, key=lambda point: point[1])[0]
    write_curves(Path(path), panels, marks, same_scale=True)
    return verdicts


def _curve(database: Path, name: str) -> Curve:
    return list(zip(*read_metric(database, name), strict=True))
