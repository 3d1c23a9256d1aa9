"""The loop: one game, one run folder, bit for bit the same however often it is interrupted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backlit.errors import RecipeError
from backlit.step import Constant, Cosine, Schedule
from backlit.step import schedule as schedule_of
from backlit.supervised import Lanes, Samples
from backlit.train.course import Course
from backlit.train.folder import RunFolder
from backlit.train.log import read_metric, read_probes
from backlit.train.pictures import Pictures
from backlit.train.progress import reporter
from backlit.train.results import Measure
from backlit.train.sections import Fit, Train, check
from backlit.train.sitting import Sitting
from backlit.train.trainable import Trainable, noun_of


@dataclass(frozen=True)
class Run:
    """A run folder after training.

    Attributes:
        folder: the run folder.
        step: number of finished steps.
        picture: the final grid of pictures, or the curves of supervised training.
        best_step: the step whose parameters the network now has, where there was a validation;
            else None: it has the last step's.
    """

    folder: Path
    step: int
    picture: Path
    best_step: int | None = None

    def metric(self, name: str) -> tuple[list[int], list[float]]:
        """Return a metric's steps and values ("loss_d", "loss_g", "d_real", "d_fake", ...)."""
        return read_metric(self.folder / "run.db", name)

    def probes(self, step: int | None = None) -> list[tuple[int, str, str, float]]:
        """Return what the probes read, (step, probe, statistic, value), of one step or of all."""
        return read_probes(self.folder / "run.db", step)


def train(
    game: Trainable,
    data: Pictures | Samples | Lanes,
    *,
    steps: int,
    run: str | Path,
    batch: int = 64,
    seed: int = 0,
    save_every: int = 500,
    sample_every: int = 500,
    pictures: int = 64,
    mode: str = "auto",
    precision: str = "auto",
    kernels: str = "auto",
    threads: int = 0,
    steps_per_call: int = 0,
    best: str = "",
    probe_every: int = 50,
    validation: Samples | None = None,
    test: Samples | None = None,
    validate_every: int = 100,
    patience: int = 0,
    monitor: str = "val_loss",
    schedule: str | Mapping[str, Any] | Schedule = "constant",
    measure: Measure | None = None,
    prune: float = 0.0,
    prune_from: int = 0,
    prune_to: int = 0,
    recipe: Mapping[str, Any] | None = None,
    again: str = "run the same lines again",
    progress: bool = True,
) -> Run:
    """Train in a run folder; where the folder has begun, go on bit for bit.

    Args:
        game: what to train: `bl.Game(generator, discriminator)` or `Supervised(network)`.
        data: the pictures, such as `bl.data.folder(path)`; for a `Supervised` its `Samples`,
            or `Lanes` where it carries a state.
        steps: iterations in all, those of earlier sittings included.
        run: the run folder, such as "runs/first"; made where it is missing.
        batch: pictures or samples a step, default 64. A game shares them out among its steps of
            D; 1 is stochastic gradient descent, all of them is batch gradient descent.
        seed: decides the order of the pictures and the noise of the grids, default 0.
        save_every: steps between checkpoints, default 500.
        sample_every: steps between grids of pictures, 0 for none but the last; default 500.
        pictures: pictures in a grid, default 64.
        mode: "auto" (compiled where a C++ compiler is found), "compiled", "plain" or "watched".
        precision: "auto" (bfloat16 for large float32 networks where the machine has fast
            bfloat16, else the networks' own), "float32", "bfloat16" or "float64". Parameters and
            optimiser state keep the networks' own.
        kernels: "auto", the default, measures the ways to compute a compiled step's largest gates,
            once on a machine, and takes the fastest; "aten" leaves them to PyTorch.
        threads: CPU threads; 0, the default, takes one or all of torch's, whichever steps faster.
        steps_per_call: steps compiled into one call, where the rates stay; 0, the default, takes
            several only where steps are so short and so many that it saves time. Checkpoints,
            pictures and Ctrl-C wait for the end of a call. A resumed run takes mode, precision,
            kernels, threads and steps_per_call from its own record.
        best: metric whose lowest mean over `save_every` steps marks the best checkpoint, kept
            beside the two last; "" (default) for none, since GAN losses do not rank pictures.
        probe_every: steps between readings of the probes, 0 for none; default 50. They cost no
            more than reading each wire once in those steps, and change nothing.
        validation: samples to validate on, in evaluation mode (`Supervised` alone). When training
            ends, the network gets back the parameters of the best validation, exactly.
        test: samples for the final scores alone.
        validate_every: steps between validations, default 100.
        patience: validations without a gain after which training stops; 0 (default) for none.
        monitor: "val_loss" (default) or "val_accuracy": which validation is the best.
        schedule: of the learning rates: a name of `backlit.step.SCHEDULES`, a table {"name",
            options} or a `Schedule`; default "constant".
        measure: further scores of a `Supervised` on a set, (trained, samples) -> {name: number}.
        prune: share of the weights to hold at 0, by size, of a `Supervised` that is prunable.
        prune_from, prune_to: steps between which that share is reached.
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
    fit = check(Fit, {name: arguments[name] for name in Fit.model_fields}, "train()")
    plan = schedule_of(schedule)
    noun = noun_of(data)
    if batch > len(data):
        raise RecipeError(
            f"train.batch: expected at most {len(data)}, the {noun} there are, got {batch}; "
            f"lower it or add {noun}"
        )
    if best and validation is not None:
        raise RecipeError(
            f'train.best: expected "" beside validation, which marks the best step, got {best!r}'
        )
    course = Course(game, fit, plan, steps, validation)
    if recipe is None:
        recipe = {
            "made_by": "python",
            "data": _facts(data),
            "game": game.description,
            "train": settings.model_dump(),
        }
        if validation is not None or fit != Fit() or not isinstance(plan, Constant):
            recipe["fit"] = fit.model_dump() | {
                # A cosine ends with the steps: raising them would change what was computed.
                "schedule": repr(plan) + (f" over {steps}" if isinstance(plan, Cosine) else ""),
                "validation": "" if validation is None else validation.key,
            }
    threads_before = torch.get_num_threads()
    try:
        with RunFolder(run) as folder:
            folder.agree(recipe)
            report = reporter(progress)
            sitting = Sitting(game, data, settings, folder, again, report, course, test, measure)
            sitting.run()
            return Run(folder.path, sitting.step, folder.picture, course.best_step)
    finally:
        course.restore_rates()
        torch.set_num_threads(threads_before)


def _facts(data: Pictures | Samples | Lanes) -> dict[str, Any]:
    if isinstance(data, Samples | Lanes):
        return {"key": data.key, "name": data.name, noun_of(data): len(data)}
    return {"key": data.key, "size_px": data.size_px, "channels": data.channels}
