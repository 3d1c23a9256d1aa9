"""What README and CONTRIBUTING show is run, not believed."""

import re
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from backlit.cli import app

ROOT = Path(__file__).parents[1]


def blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.S)


def test_the_readme_trains_a_users_own_networks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKLIT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "my_pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(70):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    code = next(block for block in blocks("README.md") if "my_pictures" in block)
    assert "steps=5_000" in code
    code = code.replace('steps=5_000, run="runs/mine"', 'steps=2, run="runs/mine", mode="plain"')
    found: dict = {}
    exec(code, found)
    assert found["run"].picture.is_file()
    assert found["run"].step == 2


def test_the_readme_shows_a_computation(capsys):
    code = next(block for block in blocks("README.md") if "x=-2.0" in block)
    found: dict = {}
    exec(code, found)
    assert found["value"].item() == -12
    assert {k: v.item() for k, v in found["gradients"].items()} == {"x": -4, "y": -4, "z": 3}
    assert "mul" in capsys.readouterr().out


def test_the_readme_checks_a_network(capsys):
    code = next(block for block in blocks("README.md") if "bl.check" in block)
    found: dict = {}
    exec(code, found)
    assert "passed, largest error" in capsys.readouterr().out
    assert len(found["gradients"]) > len(found["loss"])


def test_the_readme_trains_on_targets(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = next(block for block in blocks("README.md") if "bl.Supervised" in block)
    assert "steps=600, run" in code
    found: dict = {}
    exec(code.replace("steps=600, run", 'steps=100, mode="plain", run'), found)
    assert (tmp_path / "runs/digits/scores.json").is_file()


def test_the_ten_lines_are_ten():
    code = next(block for block in blocks("README.md") if "my_pictures" in block)
    statements = [line for line in code.splitlines() if line and not line.startswith(" ")]
    assert len(statements) <= 10


@pytest.mark.parametrize(
    "command", ["train", "sample", "look", "check", "data", "bench", "recipes"]
)
def test_every_command_stands_in_the_readme(command):
    assert command in typer.main.get_command(app).commands
    assert f"backlit {command}" in (ROOT / "README.md").read_text()


def test_make_targets_stand_in_the_readme():
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"make {target}" in (ROOT / "README.md").read_text()
        assert re.search(rf"^{target}:", makefile, re.M)
