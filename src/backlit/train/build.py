"""From a game's recipe to what it names: the pictures, the networks, the game."""

from collections.abc import Callable

import torch
from pydantic import BaseModel
from torch import nn

import backlit.data
import backlit.gan
from backlit.data import PictureSet
from backlit.devices import usable_device
from backlit.errors import RecipeError
from backlit.gan.losses import AdversarialLoss, adversarial_loss
from backlit.gan.penalties import Penalty, penalty
from backlit.nets import network
from backlit.step import Optimiser
from backlit.train.recipe import Recipe
from backlit.train.sections import Named, Network
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


def build_game(recipe: Recipe, device: str = "cpu") -> Generates:
    """Return the game a recipe names, its weights drawn from the recipe's seed.

    Args:
        device: where its networks lie: the recipe's own to train it, any to look at a run.

    Raises:
        RecipeError: an unknown network, loss, penalty or option, or a device that is not here; the
            text names the key.
    """
    place = usable_device(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        generator = _network("generator", recipe.generator, recipe.data.size)
        discriminator = _network("discriminator", recipe.discriminator, recipe.data.size)
    game, optimiser = recipe.game, recipe.optimiser
    return backlit.gan.Game(
        generator.to(place),
        discriminator.to(place),
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
