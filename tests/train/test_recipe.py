"""Recipes: what is wrong is said in one line, before any work."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backlit.errors import RecipeError
from backlit.train import FitRecipe, Recipe, bundled, load_recipe
from backlit.train.sections import FREE
from backlit.train.toml import dumps

WRONG = [
    ("optimiser.d.lr=-1", r"--set optimiser.d.lr: expected a number above 0.0, got -1"),
    ("optimiser.d.lr=nan", r"--set optimiser.d.lr: expected a finite number, got nan"),
    ("optimiser.g.lr='fast'", r"--set optimiser.g.lr: expected a number, got 'fast'"),
    ("optimiser.d.lrr=1", r"lrr: unknown key \(did you mean 'lr'\?\); allowed: amsgrad, betas, ep"),
    (
        "optimiser.d.name=adan",
        r"one of SGD, RMSprop, Adam.*, got 'adan' \(did .* 'Adam'\?\)",
    ),
    ("optimiser.d=3", r"--set optimiser.d: expected a table, got 3"),
    ("optimiser.d={lr=1}", r"--set optimiser.d: expected a table with a name, got \{'lr': 1\}"),
    ("optimiser.d.betas=[0.5]", r"optimiser.d.betas.1: expected more entries, got none at this"),
    ("optimiser.d.betas=[0,0,0]", r"optimiser.d.betas: expected 2 entries, got \[0, 0, 0\]"),
    ("optimiser.d.betas=[0,2]", r"optimiser.d.betas.1: expected a number below 1.0, got 2"),
    ("optimiser.d.betas=0.5", r"optimiser.d.betas: expected a list, got 0.5"),
    ("train.steps=ten", r"--set train.steps: expected a whole number, got 'ten'"),
    ("train.batch=2.5", r"--set train.batch: expected a whole number, got 2.5"),
    ("train.seed=-1", r"--set train.seed: expected a number of at least 0, got -1"),
    (
        "train.stepz=3",
        r"stepz: unknown key \(did you mean 'steps'\?\); allowed: batch, best, kernels, mod",
    ),
    ("train.mode=fast", r"expected 'auto', 'compiled', 'plain' or 'watched', got 'fast'"),
    ("train=3", r"--set train: expected a table, got 3"),
    (
        "dta.size=32",
        r"dta: unknown key \(did you mean 'data'\?\); allowed: about, data, device, discrim",
    ),
    ("data.source=foldr", r"expected 'emoji' or 'folder', got 'foldr' \(did you mean 'folder'\?"),
    ("data.strict=1", r"--set data.strict: expected true or false, got 1"),
    ("data.path=/x", r"data: expected a path with source \"folder\" and none with \"emoji\", got"),
    ("data.source=folder", r"got source 'folder' and no path; `--data FOLDER` sets both"),
    ("game.loss={nam='x'}", r"--set game.loss: game.loss.name: expected a value, got none"),
    ("game.loss=3", r"--set game.loss: expected a table, got 3"),
    ("generator.width.x=3", r"--set generator.width.x: expected a table at 'width', got"),
    ("about=3", r"--set about: expected a text, got 3"),
    ("noequals", r"--set 'noequals': expected KEY=VALUE with a dotted key, such as optimiser"),
    ("=3", r"--set '=3': expected KEY=VALUE"),
]


@pytest.mark.parametrize(("setting", "said"), WRONG)
def test_a_wrong_setting(setting: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said) as error:
        load_recipe("demo", ["generator.width=8", setting])
    assert "\n" not in str(error.value)


NETWORKS = "[generator]\nnetwork = 'g'\n[discriminator]\nnetwork = 'd'\n"
WRONG_FILES = [
    (b"a = \n", r"r.toml: expected TOML, but: Invalid value \(at line 1, column 5\)"),
    (b"\xff\xfe", r"r.toml: expected UTF-8 text in TOML, got .*"),
    (b"[generator]\nnetwork = 'g'\n", r"r.toml: discriminator: expected a value, got none"),
    (NETWORKS.encode() + b"[train]\nsteps = 0", r"r.toml: train.steps: expected a number above 0"),
    (b"made_by = 'python'\n", r"r.toml was recorded from Python .*; run the same lines of Python"),
    (b"[train]\nseed = -1", r"\(and 2 more\)"),
]


@pytest.mark.parametrize(("content", "said"), WRONG_FILES)
def test_a_wrong_file(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "r.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=said):
        load_recipe(tmp_path / "r.toml")


def test_a_missing_file() -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'dmo': expected a TOML file's path .*demo"):
        load_recipe("dmo")


@pytest.mark.parametrize("name", bundled())
def test_bundled_recipes_are_valid_and_round_trip(tmp_path: Path, name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.about
    (tmp_path / "again.toml").write_text(recipe.text(), encoding="utf-8")
    assert load_recipe(tmp_path / "again.toml") == recipe


def test_settings_and_changes() -> None:
    settings = [
        "game.penalty=r1",
        "game.penalty.gamma=2.0",
        "optimiser.d={name='SGD', lr=1}",
        "generator.width=16",
    ]
    recipe = load_recipe("demo", settings, {"train.steps": 7})
    assert recipe.game.penalty.name == "r1" and recipe.game.penalty.options == {"gamma": 2.0}
    assert recipe.optimiser.d.name == "SGD" and recipe.optimiser.d.lr == 1
    assert recipe.generator.options["width"] == 16
    assert recipe.train.steps == 7


def test_a_path_is_seen_from_the_recipe(tmp_path: Path) -> None:
    text = f"[data]\nsource = 'folder'\npath = 'cats'\n{NETWORKS}"
    (tmp_path / "r.toml").write_text(text)
    assert load_recipe(tmp_path / "r.toml").data.path == str(tmp_path / "cats")
    here = load_recipe(tmp_path / "r.toml", changes={"data.path": "dogs"})
    assert here.data.path == str(Path("dogs").absolute())


def test_free_keys_exist() -> None:
    game = load_recipe("demo").model_dump()
    fit = load_recipe("wine").model_dump()
    for key in FREE:
        section, _, name = key.rpartition(".")
        table = fit if key == "fit.patience" else game
        assert name in (table[section] if section else table), key
    assert "train" in Recipe.model_fields and "train" in FitRecipe.model_fields


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats()
values = st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.text(), values))
def test_toml_round_trip(table: dict[str, Any]) -> None:
    assert repr(tomllib.loads(dumps(table))) == repr(_ordered(table))


def _ordered(value: Any, top: bool = True) -> Any:
    """What TOML keeps: no None, sub-tables after the rest where they are sections."""
    if isinstance(value, dict):
        items = [(k, v) for k, v in value.items() if v is not None]
        if top:
            items.sort(key=lambda item: isinstance(item[1], dict))
        return {k: _ordered(v, top) for k, v in items}
    if isinstance(value, list):
        return [_ordered("None" if v is None else v, False) for v in value]
    return value
