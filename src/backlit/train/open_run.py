"""A run folder, opened again: what it trained, where a checkpoint stands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backlit.data import batch_indices
from backlit.errors import RunError
from backlit.supervised import Lanes, Samples, Supervised
from backlit.train.build import build_data, build_game
from backlit.train.build_fit import build_fit, build_task
from backlit.train.checkpoint import Checkpoint, Checkpoints
from backlit.train.fit_recipe import FitRecipe
from backlit.train.folder import read_recipe
from backlit.train.load import load_recipe
from backlit.train.recipe import Recipe
from backlit.train.trainable import Generates


def open_run(
    run: str | Path, which: str = "last", damaged: Callable[[int, str], None] | None = None
) -> tuple[Generates | Supervised, Checkpoint]:
    """Return the game or network of a run, in the state of one of its checkpoints.

    Nothing is written.

    Args:
        run: the run folder; training in it may go on meanwhile.
        which: "last", "best" or a step.
        damaged: called with step and reason for each damaged checkpoint that "last" passes over.

    Raises:
        RunError: no such run or checkpoint, or a damaged one.
        RecipeError: the run was begun from Python with networks no recipe names.
        DataError: a supervised run whose data, which decides its network, cannot be read.
    """
    found, checkpoint, _ = _opened(run, which, damaged)
    return found, checkpoint


def open_step(
    run: str | Path, n: int, damaged: Callable[[int, str], None] | None = None
) -> tuple[Generates | Supervised, Any, int]:
    """Return what a run trains, as `open_run`, with a batch for its next step and that step.

    Args:
        run, damaged: as in `open_run`.
        n: how many samples of the next batch, at most.

    Returns:
        The game or network; float pictures (N, C, H, W) in [-1, 1] for a game, x and y by name
        for supervised training; the step's index.
    """
    found, checkpoint, task = _opened(run, "last", damaged)
    recipe, step = run_recipe(run), checkpoint.step
    data: Any = build_data(recipe) if isinstance(recipe, Recipe) else task
    if isinstance(data, Lanes):
        return found, data.at(step, recipe.train.batch), step  # the carry is of all lanes
    indices = batch_indices(len(data), recipe.train.batch, recipe.train.seed, step)[:n]
    batch = data.batch(indices)
    if isinstance(recipe, Recipe):
        batch = batch.float().div_(127.5).sub_(1.0)
    return found, batch, step


def _opened(
    run: str | Path, which: str, damaged: Callable[[int, str], None] | None
) -> tuple[Generates | Supervised, Checkpoint, Samples | Lanes | None]:
    recipe = run_recipe(run)
    checkpoints = Checkpoints(Path(run) / "checkpoints")
    if which == "last":
        checkpoint = checkpoints.load_last(damaged or (lambda step, reason: None))
        if checkpoint is None:
            raise RunError(f"{run} has no checkpoint yet: train it first")
    else:
        checkpoint = checkpoints.load(_step(which, checkpoints, run))
    found: Generates | Supervised
    data = None
    if isinstance(recipe, FitRecipe):
        task = build_task(recipe)
        found, data = build_fit(recipe, task), task.train
    else:
        found = build_game(recipe)
    found.load(checkpoint.state)
    return found, checkpoint, data


def run_recipe(run: str | Path) -> Recipe | FitRecipe:
    """Return the recipe a run was begun with.

    Raises:
        RunError: the folder is no run, or its recipe.toml is damaged.
        RecipeError: the run was begun from Python, or its recipe.toml was changed by hand.
    """
    read_recipe(Path(run))
    return load_recipe(Path(run) / "recipe.toml")


def _step(which: str, checkpoints: Checkpoints, run: str | Path) -> int:
    if which == "best":
        best = checkpoints.best()
        if best is None:
            raise RunError(
                f"{run} has no best checkpoint: expected a run with train.best set to a metric; "
                "ask for last or a step"
            )
        return best
    if not which.isdecimal():
        raise RunError(f"no checkpoint {which!r}: expected last, best or a step")
    return int(which)
