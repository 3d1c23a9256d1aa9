"""From a recipe of supervised training to what it names: the task, the network, its step."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from backlit.errors import RecipeError
from backlit.losses import LOSSES
from backlit.losses import loss as loss_by_name
from backlit.nets import NETWORKS
from backlit.nets import network as network_by_name
from backlit.step import Optimiser, schedule
from backlit.supervised import Lanes, Samples, Supervised, augmentations, balanced_weights
from backlit.train.fit_recipe import FitRecipe
from backlit.train.sections import Named
from backlit.train.tasks import Task, open_task

T = TypeVar("T")

_YES_OR_NO = ("binary_cross_entropy", "binary_hinge")  # one score for two classes
_OF_NUMBERS = ("l1", "l2", "quadratic")


def build_task(recipe: FitRecipe) -> Task:
    """Return the data a recipe names.

    Raises:
        RecipeError: an unknown source or option.
        DataError: data that cannot be used; the text says which and why.
    """
    return open_task(recipe.data.source, recipe.data.options)


def build_fit(recipe: FitRecipe, task: Task) -> Supervised:
    """Return the network and step a recipe names, weights drawn from the recipe's seed.

    Raises:
        RecipeError: an unknown name or option, or one that does not fit the data; the text names
            the key.
    """
    decided = dict(task.network)
    _check_target(recipe.loss.name, task)
    if recipe.loss.name in _YES_OR_NO:
        decided["classes"] = 1
    _of("schedule", lambda: schedule(recipe.schedule.table))
    chain = _of("augment", lambda: augmentations([one.table for one in recipe.augment]))
    regularise = recipe.regularise
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.train.seed)
        network = _network(recipe, decided)
        loss = _loss(recipe.loss, task.train)
    carry: tuple[Tensor, ...] = ()
    if isinstance(task.train, Lanes):
        initial_state = getattr(network, "initial_state", None)
        if not callable(initial_state):
            raise RecipeError(
                f"network: expected one that carries a state from step to step for source "
                f"{recipe.data.source!r}, such as character_model, got {recipe.network.network!r}"
            )
        carry = initial_state(recipe.train.batch)
    return Supervised(
        network,
        loss,
        carry=carry,
        classifier=task.classifier,
        optimiser=Optimiser(**recipe.optimiser.model_dump()),
        l1=regularise.l1,
        l2=regularise.l2,
        clip_norm=regularise.clip_norm or None,
        augment=chain,
        prunable=recipe.fit.prune > 0,
        seed=recipe.train.seed,
    )


def _network(recipe: FitRecipe, decided: Mapping[str, Any]) -> nn.Module:
    name, options = recipe.network.network, recipe.network.options
    known = _options(NETWORKS, name)
    if "channels" in known and "channels" not in decided:
        raise RecipeError(
            f"network: {name!r} takes pictures, the data of source {recipe.data.source!r} are "
            "none; take another network, such as mlp, or other data"
        )
    for option in options:
        if option in decided:
            raise RecipeError(
                f"network.{option}: expected no such key, since the data decides it "
                f"({decided[option]}); leave it out"
            )
    given = {name: value for name, value in decided.items() if name in known}
    return _of("network", lambda: network_by_name(name, **options, **given))


def _loss(chosen: Named, data: Samples | Lanes) -> nn.Module:
    options, classes = chosen.options, data.classes
    if options.get("weights") == "balanced":
        if not classes:
            raise RecipeError(
                'loss.weights: expected data with classes for "balanced", got targets that are '
                "numbers"
            )
        options["weights"] = balanced_weights(data.y, len(classes))
    if "classes" in _options(LOSSES, chosen.name):
        if "classes" in options:
            raise RecipeError(
                f"loss.classes: expected no such key, since the data decides it ({len(classes)}); "
                "leave it out"
            )
        options["classes"] = len(classes)
    return _of("loss", lambda: loss_by_name(chosen.name, **options))


def _options(table: Mapping[str, Callable[..., Any]], name: str) -> set[str]:
    # An unknown name is reported by what builds from the table.
    return set(inspect.signature(table[name]).parameters) if name in table else set()


def _check_target(loss: str, task: Task) -> None:
    """Before any work: a loss of classes for numbers, or the other way round."""
    classes, numbers = task.train.classes, task.train.y.is_floating_point()
    if numbers and not classes and loss in ("cross_entropy", "focal", "hinge", *_YES_OR_NO):
        raise RecipeError(
            f"loss: expected one of {', '.join(_OF_NUMBERS)}, since the target holds numbers, got "
            f"{loss!r}; such as --set loss.name=quadratic"
        )
    if classes and loss in _OF_NUMBERS:
        raise RecipeError(
            f"loss: expected a loss of classes, such as cross_entropy, since the target has "
            f"{len(classes)} classes, got {loss!r}"
        )
    if loss in _YES_OR_NO and len(classes) != 2:
        raise RecipeError(
            f"loss: {loss!r} expected 2 classes, the data has {len(classes)}: take cross_entropy"
        )


def _of(key: str, made: Callable[[], T]) -> T:
    try:
        return made()
    except RecipeError as error:
        text = str(error)
        raise RecipeError(text if text.startswith(key) else f"{key}: {text}") from error
