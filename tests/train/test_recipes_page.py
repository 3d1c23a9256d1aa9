"""docs/recipes.md lists what there is: every bundled recipe, source, section and key."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from backlit.step import SCHEDULES
from backlit.supervised import AUGMENTATIONS
from backlit.train import FitRecipe, bundled, load_recipe
from backlit.train.tasks import SOURCES

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()


def first_column(header: str) -> list[str]:
    """The code words in the first column of the table under this header."""
    table = PAGE[PAGE.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [name for row in table for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_every_bundled_recipe_is_listed() -> None:
    assert sorted(first_column("| recipe |")) == bundled()


def test_every_source_is_listed() -> None:
    assert sorted(first_column("| source |")) == sorted(SOURCES)


def test_every_section_and_key_is_listed() -> None:
    sections = first_column("| section |")
    for name in FitRecipe.model_fields:
        assert f"[{name}]" in sections or f"`{name}`" in PAGE, name
    for name in ("regularise", "fit", "train"):
        model = FitRecipe.model_fields[name].annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        for key in model.model_fields:
            assert f"`{key}`" in PAGE, f"{name}.{key}"
    for name in (*SCHEDULES, *AUGMENTATIONS):
        assert f"`{name}`" in PAGE, name


def test_the_recipe_on_the_page_is_valid(tmp_path: Path) -> None:
    (code,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    (tmp_path / "my.toml").write_text(code)
    recipe = load_recipe(tmp_path / "my.toml")
    assert isinstance(recipe, FitRecipe)
    assert recipe.data.options == {"path": str(tmp_path / "my_pictures"), "size": 32}
    assert recipe.loss.options == {"weights": "balanced"}


@pytest.mark.parametrize("line", re.findall(r"^backlit train (?!--)(\S+)", PAGE, re.M))
def test_commands_name_recipes_that_exist(line: str) -> None:
    assert line in bundled()
