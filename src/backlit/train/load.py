"""Recipes from files: read, changed by the command line, checked."""

import inspect
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from backlit.errors import RecipeError
from backlit.train.fit_recipe import FitData, FitRecipe
from backlit.train.recipe import Data, Recipe
from backlit.train.sections import check
from backlit.train.tasks import SOURCES, source_of

D = TypeVar("D", Data, FitData)


def bundled() -> list[str]:
    """Return the names of the recipes that come with the package."""
    files = resources.files("backlit.train").joinpath("recipes").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_recipe(
    recipe: str | Path = "demo",
    settings: Sequence[str] = (),
    changes: Mapping[str, Any] = {},
    data: str | None = None,
) -> Recipe | FitRecipe:
    """Return a checked recipe: of a game, or of supervised training where it has a [network].

    Args:
        recipe: a bundled recipe's name, or the path of a TOML file.
        settings: "key=value" texts, key dotted ("optimiser.d.lr=1e-4"), value as in TOML;
            a bare word counts as a text.
        changes: dotted key -> value, as the command line's own options set them.
        data: what to train on in place of the recipe's own data: for a game a folder of pictures;
            for supervised training a named set, a folder or a file (see `tasks.source_of`).

    Raises:
        RecipeError: no such recipe, bad TOML, an unknown key, a wrong type or value; one line
            that names the file, the key, what was expected and what came.
        DataError: `data` is nothing that can be read.
    """
    source, table = _read(recipe)
    if table.get("made_by") == "python":
        raise RecipeError(
            f"{source} was recorded from Python with networks no recipe names: expected a recipe; "
            "run the same lines of Python again"
        )
    supervised = "network" in table
    if supervised and "generator" in table:
        raise RecipeError(
            f"{source}: expected [network] for supervised training or [generator] for a game, got "
            "both; leave one out"
        )
    places = {}
    if data is not None:
        table["data"] = _replaced(table.get("data", {}), data, supervised)
        places["data"] = f"--data {data}"
    for key, value in map(_setting, settings):
        _put(table, key, value)
        places[key] = f"--set {key}"
    for key, value in changes.items():
        _put(table, key, value)
        places[key] = "command line"
    if supervised:
        fit = check(FitRecipe, table, source, places)
        return fit.model_copy(update={"data": _placed(fit.data, source, places)})
    game = check(Recipe, table, source, places)
    _check_game_path(game, source)
    return game.model_copy(update={"data": _placed(game.data, source, places)})


def _replaced(section: Any, data: str, supervised: bool) -> dict[str, Any]:
    """[data] of a recipe that trains on something else; what the new source knows too is kept."""
    own = section if isinstance(section, dict) else {}
    if not supervised:
        return own | {"source": "folder", "path": data}
    source, path = source_of(data, own.get("source", ""))
    known = inspect.signature(SOURCES[source]).parameters
    kept = {key: value for key, value in own.items() if key in known and key != "path"}
    return {"source": source} | ({} if path is None else {"path": path}) | kept


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


def _check_game_path(recipe: Recipe, source: str) -> None:
    data = recipe.data
    if (data.source == "folder") != bool(data.path):
        given = f"path {data.path!r}" if data.path else "no path"
        raise RecipeError(
            f'{source}: data: expected a path with source "folder" and none with "emoji", got '
            f"source {data.source!r} and {given}; `--data FOLDER` sets both"
        )


def _placed(data: D, source: str, places: Mapping[str, str]) -> D:
    """[data] with its path absolute: seen from here if the command line gave it, else the file."""
    path = getattr(data, "path", "")
    if not isinstance(path, str) or not path:
        return data
    here = not {"data", "data.path"}.isdisjoint(places)
    base = Path() if here else Path(source).parent
    return data.model_copy(update={"path": str((base / Path(path).expanduser()).absolute())})
