"""The commands: what they do, what they print, how they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from games import Games
from PIL import Image

from backlit import __version__
from backlit.cli import main, run
from backlit.train import bundled

SMALL = ["--set", "train.batch=8", "--set", "generator.width=8", "--set", "train.save_every=5"]
Output = pytest.CaptureFixture[str]


def fails(arguments: list[str], capsys: Output) -> str:
    """Run a command that must end with code 2 and one line on stderr; return the line."""
    capsys.readouterr()
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("backlit: error: ") and error.count("\n") == 1
    return error


def test_version(capsys: Output) -> None:
    assert run(["--version"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"backlit {__version__}, PyTorch {torch.__version__}, Python 3.")
    assert said.count("\n") == 1


def test_train_and_sample(games: Games, tmp_path: Path, capsys: Output) -> None:
    assert run(["train", "--steps", "6", *SMALL]) == 0
    output = capsys.readouterr().out
    assert f"finished: 6 steps, {Path('runs/demo/final.png')}" in output
    call = games.calls[0]
    assert call["seed"] == 0 and call["ema"] == 0.998 and call["optimiser_d"].name == "Adam"
    assert (tmp_path / "runs/demo/final.png").exists()

    assert run(["sample", "runs/demo", "--n", "9", "--seed", "3", "--out", "nine.png"]) == 0
    assert capsys.readouterr().out == "nine.png\n"
    with Image.open(tmp_path / "nine.png") as picture:
        assert picture.size == (296, 296)  # 3 x 4 px, enlarged to 96 px, and 4 x 2 px between
    assert run(["sample", "runs/demo", "--checkpoint", "5"]) == 0
    assert capsys.readouterr().out == "runs/demo/sample-00000005-seed0.png\n"


def test_going_on_needs_the_folder_alone(games: Games, capsys: Output) -> None:
    assert run(["train", "--steps", "6", "--run", "here", *SMALL]) == 0
    assert run(["train", "--run", "here"]) == 0
    assert "already finished: 6 steps" in capsys.readouterr().out
    assert run(["train", "--run", "here", "--steps", "8"]) == 0
    output = capsys.readouterr().out
    assert "going on in here from step 6" in output and "finished: 8 steps" in output
    line = fails(["train", "--run", "here", "--set", "train.batch=4"], capsys)
    assert "here belongs to another recipe: train.batch is 8 there, 4 asked for" in line


def test_a_key_younger_than_the_run_stands_at_its_default(
    games: Games, tmp_path: Path, capsys: Output
) -> None:
    assert run(["train", "--steps", "6", "--run", "here", *SMALL]) == 0
    recipe = tmp_path / "here" / "recipe.toml"
    whole = recipe.read_text()
    for line in ('device = "cpu"\n', "probe_every = 50\n", "one_stage = false\n"):
        assert line in whole
        recipe.write_text(recipe.read_text().replace(line, ""))
    assert run(["train", "--run", "here", "--steps", "8"]) == 0
    assert "finished: 8 steps" in capsys.readouterr().out
    assert recipe.read_text() == whole.replace("steps = 6", "steps = 8")
    recipe.write_text(recipe.read_text().replace("probe_every = 50\n", ""))
    line = fails(["train", "--run", "here", "--set", "train.probe_every=5"], capsys)
    assert "train.probe_every is 50 there, 5 asked for" in line
    recipe.write_text(recipe.read_text().replace("ema =", "unheard_of = 1\nema ="))
    line = fails(["train", "demo", "--run", "here", "--steps", "8", *SMALL], capsys)
    assert "game.unheard_of is 1 there, 'missing' asked for" in line


def test_fresh_begins_beside(games: Games, tmp_path: Path) -> None:
    for _ in range(3):
        assert run(["train", "--steps", "2", "--fresh", *SMALL]) == 0
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["demo", "demo-2", "demo-3"]


def test_a_folder_of_pictures(games: Games, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "cats").mkdir()
    for i in range(9):
        Image.new("RGB", (40, 40), (i * 20, 0, 99)).save(tmp_path / "cats" / f"{i}.png")
    (tmp_path / "cats" / "text.png").write_text("no picture")
    assert run(["train", "--data", "cats", "--steps", "2", *SMALL]) == 0
    assert "1 files skipped, the first: text.png" in capsys.readouterr().out
    assert (tmp_path / "runs/demo-cats/recipe.toml").exists()
    other = [*SMALL, "--set", "train.batch=9"]
    line = fails(["train", "--data", "cats", "--steps", "2", *other], capsys)
    assert "runs/demo-cats belongs to another recipe" in line
    assert "cannot be used" in fails(
        ["train", "--data", "cats", "--run", "strict", *SMALL, "--set", "data.strict=true"], capsys
    )
    (tmp_path / "few").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "few" / "one.png")
    line = fails(["train", "--data", "few", *SMALL], capsys)
    assert "expected at least 8 pictures (one batch), found 1" in line
    assert "nowhere" in fails(["train", "--data", "nowhere", *SMALL], capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["train", "--foo"], "No such option: --foo"),
        (["train", "--steps", "ten"], "Invalid value for '--steps'"),
        (["sample"], "Missing argument 'run'"),
        (
            ["train", "nope"],
            "no recipe 'nope': expected a TOML file's path or a bundled name",
        ),
        (["train", "--steps", "0"], "command line: train.steps: expected a number above 0, got 0"),
        (["train", "--set", "optimiser.d.lr=-1"], "--set optimiser.d.lr: expected a number above"),
        (["train", "--set", "generator.network=dcgam"], "generator: unknown network 'dcgam'"),
        (["train", "--set", "generator.widht=8"], "'dcgan_generator' has no option 'widht'"),
        (
            ["train", "--set", "generator.size=8"],
            "generator.size: expected no such key, since",
        ),
        (["train", "--set", "game.loss=hing"], "game.loss: unknown adversarial loss 'hing'"),
        (["train", "--set", "game.penalty=r3"], "game.penalty: unknown penalty 'r3'"),
        (["sample", "nowhere"], "nowhere is not a run folder: expected nowhere/recipe.toml"),
    ],
)
def test_errors_are_one_line(
    games: Games, tmp_path: Path, capsys: Output, arguments: list[str], said: str
) -> None:
    assert said in fails(arguments, capsys)
    assert not (tmp_path / "runs").exists()


def test_sample_errors(games: Games, tmp_path: Path, capsys: Output) -> None:
    assert run(["train", "--steps", "6", "--run", "r", *SMALL]) == 0
    for which, said in {
        "best": "r has no best checkpoint: expected a run with train.best set to a metric",
        "3": "no checkpoint of step 3 in r/checkpoints; there are: 5, 6",
        "first": "no checkpoint 'first': expected last, best or a step",
    }.items():
        assert said in fails(["sample", "r", "--checkpoint", which], capsys)
    (tmp_path / "r/checkpoints/step-00000006.safetensors").write_bytes(b"damaged")
    assert run(["sample", "r"]) == 0
    output = capsys.readouterr().out
    assert "step-00000006.safetensors is damaged" in output and "sample-00000005" in output
    for path in (tmp_path / "r/checkpoints").iterdir():
        path.unlink()
    assert "r has no checkpoint yet: train it first" in fails(["sample", "r"], capsys)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(
    games: Games, capsys: Output, signum: int, code: int
) -> None:
    def stop(index: int) -> None:
        if index == 3:
            os.kill(os.getpid(), signum)

    games.on_step = stop
    assert run(["train", "--steps", "6", "--run", "my run", *SMALL]) == code
    output = capsys.readouterr().out
    assert "stopped at step 4 of 6, saved; to go on: backlit train --run 'my run'" in output
    games.on_step = None
    assert run(["train", "--run", "my run"]) == 0


def test_ctrl_c_outside_training(monkeypatch: pytest.MonkeyPatch, games: Games) -> None:
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("backlit.train.build_game", interrupt)
    assert run(["train"]) == 130


def test_recipes_are_listed(capsys: Output) -> None:
    assert run(["recipes"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == bundled()
    assert any(line.split(maxsplit=1)[1].startswith("Emoji faces at 32 px") for line in listed)


def test_help(capsys: Output) -> None:
    assert run([]) == 0
    assert "train" in capsys.readouterr().out
    assert run(["train", "--help"]) == 0
    output = capsys.readouterr().out
    for option in ("--data", "--steps", "--run", "--set", "--fresh"):
        assert option in output


def test_an_error_of_the_system_is_one_line(
    monkeypatch: pytest.MonkeyPatch, games: Games, capsys: Output
) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError(13, "Permission denied", "pictures")

    monkeypatch.setattr("backlit.train.build_data", refuse)
    assert "Permission denied: 'pictures'" in fails(["train"], capsys)


def test_traceback_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_TRACEBACK", "1")
    with pytest.raises(Exception, match="no recipe 'nope'"):
        run(["train", "nope"])


def test_main_ends_the_process(capsys: Output) -> None:
    with pytest.raises(SystemExit) as error:
        main(["trian"])
    assert error.value.code == 2


def test_help_needs_no_torch() -> None:
    code = "import sys, backlit.cli; assert backlit.cli.run(['--help']) == 0; print(*sys.modules)"
    start_s = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
    assert time.perf_counter() - start_s < 5  # far below importing torch on a busy machine
