"""From a recipe to what it names: the pictures, the networks, the game."""

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import BaseModel
from torch import Tensor, nn

import backlit.data
import backlit.gan
from backlit.data import PictureSet, batch_indices
from backlit.errors import RecipeError, RunError
from backlit.gan.losses import AdversarialLoss, adversarial_loss
from backlit.gan.penalties import Penalty, penalty
from backlit.nets import network
from backlit.step import Optimiser
from backlit.train.checkpoint import Checkpoint, Checkpoints
from backlit.train.folder import read_recipe
from backlit.train.recipe import Named, Network, Recipe, load_recipe
from backlit.train.trainable import Generates

CHANNELS = 3


def build_data(recipe: Recipe, progress: Callable[[int, int], None] | None = None) -> PictureSet:
    """Return the pictures a recipe names.

    Raises:
        DataError: the pictures cannot be used; the text says which and why.
    """
    data = recipe.data
    if data.source == "emoji":
        return backlit.data.emoji(style=data.style, group=data.group or None, size=data.size)
    return backlit.data.folder(
        data.path,
        size=data.size,
        fit=data.fit,
        strict=data.strict,
        minimum=recipe.train.batch,
        progress=progress,
    )


def batch_of(pictures: PictureSet, recipe: Recipe, step: int) -> Tensor:
    """Return the pictures that step `step` of a run sees, float (N, C, H, W) in [-1, 1]."""
    indices = batch_indices(len(pictures), recipe.train.batch, recipe.train.seed, step)
    return pictures.batch(indices).float().div_(127.5).sub_(1.0)


def build_game(recipe: Recipe) -> Generates:
    """Return the game a recipe names, its weights drawn from the recipe's seed.

    Raises:
        RecipeError: an unknown network, loss, penalty or option; the text names the key.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        generator = _network("generator", recipe.generator, recipe.data.size)
        discriminator = _network("discriminator", recipe.discriminator, recipe.data.size)
    game, optimiser = recipe.game, recipe.optimiser
    return backlit.gan.Game(
        generator,
        discriminator,
        loss=_loss(game.loss),
        penalty=_penalty(game.penalty),
        d_steps=game.d_steps,
        warmup_d_steps=game.warmup_d_steps,
        ema=game.ema or None,
        clip_norm=game.clip_norm or None,
        one_stage=game.one_stage,
        optimiser_d=_optimiser(optimiser.d),
        optimiser_g=_optimiser(optimiser.g),
        seed=recipe.train.seed,
    )


def open_run(
    run: str | Path, which: str = "last", damaged: Callable[[int, str], None] | None = None
) -> tuple[Generates, Checkpoint]:
    """Return the game of a run, in the state of one of its checkpoints; nothing is written.

    Args:
        run: the run folder; training in it may go on meanwhile.
        which: "last", "best" or a step.
        damaged: called with step and reason for each damaged checkpoint that "last" passes over.

    Raises:
        RunError: no such run or checkpoint, or a damaged one.
        RecipeError: the run was begun from Python with networks no recipe names.
    """
    recipe = run_recipe(run)
    checkpoints = Checkpoints(Path(run) / "checkpoints")
    if which == "last":
        checkpoint = checkpoints.load_last(damaged or (lambda step, reason: None))
        if checkpoint is None:
            raise RunError(f"{run} has no checkpoint yet: train it first")
    else:
        checkpoint = checkpoints.load(_step(which, checkpoints, run))
    game = build_game(recipe)
    game.load(checkpoint.state)
    return game, checkpoint


def run_recipe(run: str | Path) -> Recipe:
    """Return the recipe a run was begun with.

    Raises:
        RunError: the folder is no run, or its recipe.toml is damaged.
        RecipeError: the run was begun from Python, or its recipe.toml was changed by hand.
    """
    read_recipe(Path(run))
    return load_recipe(Path(run) / "recipe.toml")


def _optimiser(chosen: BaseModel) -> Optimiser:
    return Optimiser(**chosen.model_dump())


def _loss(chosen: Named) -> AdversarialLoss:
    try:
        return adversarial_loss(chosen.name, **chosen.options)
    except RecipeError as error:
        raise RecipeError(f"game.loss: {error}") from error


def _penalty(chosen: Named) -> Penalty | None:
    if chosen.name == "none":
        return None
    try:
        return penalty(chosen.name, **chosen.options)
    except RecipeError as error:
        raise RecipeError(f"game.penalty: {error}") from error


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


def _network(key: str, chosen: Network, size: int) -> nn.Module:
    for option in ("size", "channels"):
        if option in chosen.options:
            raise RecipeError(
                f"{key}.{option}: expected no such key, since data decides it (data.size, "
                f"{CHANNELS} channels); leave it out"
            )
    try:
        return network(chosen.network, size=size, channels=CHANNELS, **chosen.options)
    except RecipeError as error:
        raise RecipeError(f"{key}: {error}") from error
