"""Recipes: everything that decides a run, as TOML checked by frozen models before work begins."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from backlit.errors import RecipeError
from backlit.train.recipe_errors import explain
from backlit.train.toml import dumps

T = TypeVar("T", bound="Section")
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A table of a recipe: unknown keys, wrong types and infinite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Data(Section):
    """[data]: which pictures, at which size.

    Attributes:
        source: "emoji" (the bundled set) or "folder" (`path` says which).
        path: folder of pictures, seen from the recipe's own folder; for source "folder".
        size: edge of the square pictures, px.
        style, group: which emoji; group "" takes all of them.
        fit: how a picture that is not square becomes so.
        strict: refuse a folder with unreadable pictures instead of skipping and counting them.
    """

    source: Literal["emoji", "folder"] = "emoji"
    path: str = ""
    size: PositiveInt = 32
    style: Literal["3d", "flat"] = "3d"
    group: str = ""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    strict: bool = False


class Network(Section):
    """[generator], [discriminator]: a network by name; further keys are its own options.

    Attributes:
        network: a name of `backlit.nets.NETWORKS`; its size and channels come from [data].
    """

    model_config = ConfigDict(extra="allow")

    network: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Named(Section):
    """A loss or penalty: a table {name, options}; the name alone will do.

    Attributes:
        name: a name the adversarial game knows.
    """

    model_config = ConfigDict(extra="allow")

    name: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class Game(Section):
    """[game]: the rules of play.

    Attributes:
        loss: adversarial loss, a name or a table {name, options}.
        penalty: penalty on D, likewise; "none" for none.
        d_steps: updates of D per update of G.
        warmup_d_steps: first iterations in which D alone is updated.
        ema: decay of G's moving average per step; 0 for none.
        clip_norm: largest joint norm of a player's gradients; 0 for no clipping.
        one_stage: both players updated at once from one pass; another algorithm, see `Game`.
    """

    loss: Annotated[Named, BeforeValidator(_named)] = Named(name="nonsaturating")
    penalty: Annotated[Named, BeforeValidator(_named)] = Named(name="none")
    d_steps: PositiveInt = 1
    warmup_d_steps: NonNegativeInt = 0
    ema: Fraction = 0.999
    clip_norm: NonNegativeFloat = 0.0
    one_stage: bool = False


class SGD(Section):
    """torch.optim.SGD."""

    name: Literal["SGD"]
    lr: PositiveFloat = 1e-2
    momentum: NonNegativeFloat = 0.0
    dampening: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 0.0
    nesterov: bool = False


class RMSprop(Section):
    """torch.optim.RMSprop."""

    name: Literal["RMSprop"]
    lr: PositiveFloat = 1e-2
    alpha: Fraction = 0.99
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    momentum: NonNegativeFloat = 0.0
    centered: bool = False


class Adam(Section):
    """torch.optim.Adam; the defaults are those of DCGAN (arXiv:1511.06434, section 4)."""

    name: Literal["Adam"]
    lr: PositiveFloat = 2e-4
    betas: tuple[Fraction, Fraction] = (0.5, 0.999)
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    amsgrad: bool = False


class AdamW(Section):
    """torch.optim.AdamW."""

    name: Literal["AdamW"]
    lr: PositiveFloat = 2e-4
    betas: tuple[Fraction, Fraction] = (0.5, 0.999)
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 1e-2
    amsgrad: bool = False


class Adagrad(Section):
    """torch.optim.Adagrad."""

    name: Literal["Adagrad"]
    lr: PositiveFloat = 1e-2
    lr_decay: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 0.0
    initial_accumulator_value: NonNegativeFloat = 0.0
    eps: PositiveFloat = 1e-10


class Adadelta(Section):
    """torch.optim.Adadelta."""

    name: Literal["Adadelta"]
    lr: PositiveFloat = 1.0
    rho: Fraction = 0.9
    eps: PositiveFloat = 1e-6
    weight_decay: NonNegativeFloat = 0.0


Optimiser = Annotated[
    SGD | RMSprop | Adam | AdamW | Adagrad | Adadelta, Field(discriminator="name")
]


class Optimisers(Section):
    """[optimiser]: one for the discriminator (d), one for the generator (g)."""

    d: Optimiser = Adam(name="Adam")
    g: Optimiser = Adam(name="Adam")


class Train(Section):
    """[train]: the loop; also the keyword arguments of `train`.

    Attributes:
        steps: iterations in all; the one number that may be raised when a run goes on.
        batch: pictures a step, shared out among the d_steps of D.
        seed: decides the weights, the order of the pictures and the noise.
        save_every: steps between checkpoints.
        sample_every: steps between grids of pictures; 0 for none but the final one.
        pictures: pictures in a grid.
        mode: how a step runs; "auto" compiles where a C++ compiler is found.
        threads: CPU threads; 0 takes torch's own choice.
        best: metric whose lowest mean marks the best checkpoint; "" for none.
        probe_every: steps between readings of the probes (every layer's and every parameter's
            statistics, table "probes" of run.db); 0 for none.
    """

    steps: PositiveInt = 2000
    batch: PositiveInt = 64
    seed: NonNegativeInt = 0
    save_every: PositiveInt = 500
    sample_every: NonNegativeInt = 500
    pictures: PositiveInt = 64
    mode: Literal["auto", "compiled", "plain", "watched"] = "auto"
    threads: NonNegativeInt = 0
    best: str = ""
    probe_every: NonNegativeInt = 50


class Fit(Section):
    """What supervised training has beside its steps; also keyword arguments of `train`.

    Attributes:
        validate_every: steps between validations.
        patience: validations without a gain after which training stops; 0 never stops early.
        monitor: what a validation is judged by.
        prune: share of the weights held at 0 in the end; 0 for none.
        prune_from, prune_to: steps between which that share is reached; all at once where
            prune_to is not above prune_from.
    """

    validate_every: PositiveInt = 100
    patience: NonNegativeInt = 0
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    prune: Fraction = 0.0
    prune_from: NonNegativeInt = 0
    prune_to: NonNegativeInt = 0


FREE = frozenset(
    f"train.{key}"
    for key in ("steps", "save_every", "sample_every", "pictures", "mode", "threads", "best")
) | {"about", "data.path"}
"""Keys that may differ when a run goes on: they do not change what has been computed.

The pictures behind data.path are compared by content instead; mode and threads are taken from
the run's own record.
"""


FREE_IN_FIT = frozenset({"fit.patience"})
"""The same for training from Python."""


class Recipe(Section):
    """A whole recipe.

    Attributes:
        about: one line for people.
    """

    about: str = ""
    data: Data = Data()
    generator: Network
    discriminator: Network
    game: Game = Game()
    optimiser: Optimisers = Optimisers()
    train: Train = Train()

    def text(self) -> str:
        """Return the complete resolved recipe as TOML."""
        return dumps(self.model_dump())


def bundled() -> list[str]:
    """Return the names of the recipes that come with the package."""
    files = resources.files("backlit.train").joinpath("recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(
    recipe: str | Path = "demo", settings: Sequence[str] = (), changes: Mapping[str, Any] = {}
) -> Recipe:
    """Return a checked recipe.

    Args:
        recipe: a bundled recipe's name, or the path of a TOML file.
        settings: "key=value" texts, key dotted ("optimiser.d.lr=1e-4"), value as in TOML;
            a bare word counts as a text.
        changes: dotted key -> value, as the command line's own options set them.

    Raises:
        RecipeError: no such recipe, bad TOML, an unknown key, a wrong type or value; one line
            that names the file, the key, what was expected and what came.
    """
    source, table = _read(recipe)
    if table.get("made_by") == "python":
        raise RecipeError(
            f"{source} was recorded from Python with networks no recipe names: expected a recipe; "
            "run the same lines of Python again"
        )
    places = {}
    for key, value in map(_setting, settings):
        _put(table, key, value)
        places[key] = f"--set {key}"
    for key, value in changes.items():
        _put(table, key, value)
        places[key] = "command line"
    checked = check(Recipe, table, source, places)
    return _resolve_path(checked, source, "data.path" in places)


def check(
    model: type[T], table: Mapping[str, Any], source: str, places: Mapping[str, str] = {}
) -> T:
    """Return a table as its checked model.

    Args:
        source: what the error text names as the place.
        places: dotted key -> place, for keys that came from elsewhere.

    Raises:
        RecipeError: the first thing wrong, in one line.
    """
    try:
        # By way of JSON, pydantic takes a list for a tuple but no text for a number.
        return model.model_validate_json(json.dumps(table, default=str))
    except ValidationError as error:
        raise RecipeError(explain(error, model, source, places)) from None


def _read(recipe: str | Path) -> tuple[str, dict[str, Any]]:
    path = Path(recipe)
    if str(recipe) in bundled():
        source = f"{recipe}.toml"
        content = resources.files("backlit.train").joinpath("recipes", source).read_bytes()
    elif path.is_file():
        source, content = str(path), path.read_bytes()
    else:
        raise RecipeError(
            f"no recipe {str(recipe)!r}: expected a TOML file's path or a bundled name: "
            f"{', '.join(bundled())}"
        )
    try:
        return source, tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise RecipeError(f"{source}: expected UTF-8 text in TOML, got {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{source}: expected TOML, but: {error}") from None


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise RecipeError(
            f"--set {text!r}: expected KEY=VALUE with a dotted key, such as optimiser.d.lr=1e-4"
        )
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        inner = table.get(part, {})
        # game.penalty = "r1" beside game.penalty.gamma: the short form gives way to the long.
        table[part] = inner = {"name": inner} if isinstance(inner, str) else inner
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {key}: expected a table at {part!r}, got {inner!r}")
        table = inner
    table[last] = value


def _resolve_path(recipe: Recipe, source: str, from_command: bool) -> Recipe:
    data = recipe.data
    if (data.source == "folder") != bool(data.path):
        given = f"path {data.path!r}" if data.path else "no path"
        raise RecipeError(
            f'{source}: data: expected a path with source "folder" and none with "emoji", got '
            f"source {data.source!r} and {given}; `--data FOLDER` sets both"
        )
    if not data.path:
        return recipe
    base = Path() if from_command else Path(source).parent
    path = str((base / Path(data.path).expanduser()).absolute())
    return recipe.model_copy(update={"data": data.model_copy(update={"path": path})})
