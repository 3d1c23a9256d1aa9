"""The loop: one game, one run folder, bit for bit the same however often it is interrupted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backlit.errors import RecipeError
from backlit.train.folder import RunFolder
from backlit.train.log import read_metric
from backlit.train.pictures import Pictures
from backlit.train.progress import reporter
from backlit.train.recipe import Train, check
from backlit.train.sitting import Sitting
from backlit.train.trainable import Trainable


@dataclass(frozen=True)
class Run:
    """A run folder after training.

    Attributes:
        folder: the run folder.
        step: number of finished steps.
        picture: the final grid of pictures.
    """

    folder: Path
    step: int
    picture: Path

    def metric(self, name: str) -> tuple[list[int], list[float]]:
        """Return a metric's steps and values ("loss_d", "loss_g", "d_real", "d_fake", ...)."""
        return read_metric(self.folder / "run.db", name)


def train(
    game: Trainable,
    data: Pictures,
    *,
    steps: int,
    run: str | Path,
    batch: int = 64,
    seed: int = 0,
    save_every: int = 500,
    sample_every: int = 500,
    pictures: int = 64,
    mode: str = "auto",
    threads: int = 0,
    best: str = "",
    recipe: Mapping[str, Any] | None = None,
    again: str = "run the same lines again",
    progress: bool = True,
) -> Run:
    """Train a game on pictures in a run folder; where the folder has begun, go on bit for bit.

    Args:
        game: what to train, such as `bl.Game(generator, discriminator)`.
        data: the pictures, such as `bl.data.folder(path)`.
        steps: iterations in all, those of earlier sittings included.
        run: the run folder, such as "runs/first"; made where it is missing.
        batch: pictures a step, shared out among the steps of D in it; default 64.
        seed: decides the order of the pictures and the noise of the grids, default 0.
        save_every: steps between checkpoints, default 500.
        sample_every: steps between grids of pictures, 0 for none but the last; default 500.
        pictures: pictures in a grid, default 64.
        mode: "auto" (compiled where a C++ compiler is found), "compiled", "plain" or "watched".
        threads: CPU threads; 0, the default, leaves torch's choice. A resumed run takes mode and
            threads from its own record.
        best: metric whose lowest mean over `save_every` steps marks the best checkpoint, kept
            beside the two last; "" (default) for none, since GAN losses do not rank pictures.
        recipe: the complete recipe to record; by default one made of these arguments.
        again: what to do to go on, for the messages.
        progress: show progress, default True; notices are always printed.

    Returns:
        The run, finished.

    Raises:
        RecipeError: an argument that is not allowed.
        RunError: the folder belongs to another run, is in use, or cannot be written.
        DivergenceError: a number became NaN or infinite; the first gate is named.
        Interrupted: SIGINT or SIGTERM came; the step was finished and saved.
    """
    arguments = locals()
    settings = check(Train, {name: arguments[name] for name in Train.model_fields}, "train()")
    if batch > len(data):
        raise RecipeError(
            f"train.batch: expected at most {len(data)}, the pictures there are, got {batch}; "
            "lower it or add pictures"
        )
    if recipe is None:
        recipe = {
            "made_by": "python",
            "data": {"key": data.key, "size_px": data.size_px, "channels": data.channels},
            "game": game.description,
            "train": settings.model_dump(),
        }
    threads_before = torch.get_num_threads()
    try:
        with RunFolder(run) as folder:
            folder.agree(recipe)
            sitting = Sitting(game, data, settings, folder, again, reporter(progress))
            sitting.run()
            return Run(folder.path, sitting.step, folder.picture)
    finally:
        torch.set_num_threads(threads_before)
