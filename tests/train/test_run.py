"""A run folder from its beginning to its end: going on, refusing, stopping, breaking off."""

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from fake import FakeGame, FakePictures
from kill import assert_same_run, last_state

from backlit.errors import DivergenceError, RecipeError, RunError
from backlit.train import Checkpoints, Interrupted, train
from backlit.train import sitting as sitting_module

SETTINGS: dict[str, Any] = {
    "batch": 8,
    "save_every": 5,
    "sample_every": 4,
    "pictures": 4,
    "progress": False,
}


def go(run: Path, steps: int = 12, game: FakeGame | None = None, **changes: Any) -> Any:
    if game is None:
        torch.manual_seed(0)
        game = FakeGame()
    data = changes.pop("data", None) or FakePictures()
    return train(game, data, steps=steps, run=run, **(SETTINGS | changes))


def events(run: Path, kind: str) -> list[str]:
    db = sqlite3.connect(run / "run.db")
    try:
        rows = db.execute("SELECT text FROM events WHERE kind = ?", (kind,)).fetchall()
    finally:
        db.close()
    return [row[0] for row in rows]


def test_a_run_leaves_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = go(tmp_path / "r")
    assert (run.step, run.picture) == (12, tmp_path / "r" / "final.png")
    assert sorted(p.name for p in (tmp_path / "r").iterdir() if not p.name.startswith(".")) == [
        "checkpoints",
        "final.png",
        "recipe.toml",
        "run.db",
        "samples",
    ]
    names = sorted(p.name for p in (tmp_path / "r" / "samples").iterdir())
    assert names == ["step-00000004.png", "step-00000008.png", "step-00000012.png"]
    assert Checkpoints(tmp_path / "r" / "checkpoints").steps() == [10, 12]
    steps, losses = run.metric("loss_d")
    assert steps == list(range(1, 13)) and all(loss > 0 for loss in losses)
    with pytest.raises(RunError, match=r"has no metric 'los'; it has: d_fake, d_real, loss_d, l"):
        run.metric("los")
    assert "finished: 12 steps, " in capsys.readouterr().out


def test_raised_steps_equal_one_sitting(tmp_path: Path) -> None:
    go(tmp_path / "whole", 12)
    go(tmp_path / "parts", 7)
    # Another random start: what goes on must be what was saved.
    run = go(tmp_path / "parts", 12, game=FakeGame(), save_every=3)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert run.metric("loss_g")[0] == list(range(1, 13))
    assert tomllib.loads((tmp_path / "parts/recipe.toml").read_text())["train"]["steps"] == 12


def test_a_finished_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(tmp_path / "r")
    (tmp_path / "r" / "final.png").unlink()  # as after a kill between checkpoint and picture
    game = FakeGame()
    assert go(tmp_path / "r", game=game).step == 12
    assert "already finished: 12 steps" in capsys.readouterr().out
    assert game.prepared == [] and (tmp_path / "r" / "final.png").exists()


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    go(tmp_path / "r")
    with pytest.raises(
        RunError,
        match=r"belongs to another recipe: train.batch is 8 there, 4 asked for; train.seed is 0 "
        r"there, 3 asked for; choose another folder with --run, or",
    ):
        go(tmp_path / "r", 20, batch=4, seed=3)
    assert go(tmp_path / "r", 20).step == 20


def test_other_networks_or_pictures_are_refused(tmp_path: Path) -> None:
    recipe = {"train": {"batch": 8}}
    go(tmp_path / "r", recipe=recipe)
    game = FakeGame()
    game.description = {"networks": ["linear", "mlp"], "shape": (3, 4, 4)}
    with pytest.raises(RunError, match=r"belongs to another run: game.networks is .*linear', 'mlp"):
        go(tmp_path / "r", 20, game=game, recipe=recipe)
    data = FakePictures()
    data.key = "other-pictures"
    with pytest.raises(RunError, match=r"data is 'fake-pictures' there, 'other-pictures' asked"):
        go(tmp_path / "r", 20, data=data, recipe=recipe)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    go(tmp_path / "r")
    lock = os.open(tmp_path / "r" / ".lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with pytest.raises(RunError, match=r"another process is training in .*; expected one at"):
            go(tmp_path / "r")
    finally:
        os.close(lock)


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match=r"is not a run folder: expected recipe.toml .* letter.txt"):
        go(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(RunError, match=r"could not open the run folder .*: File exists"):
        go(tmp_path / "letter.txt")


def test_a_damaged_recipe_is_refused(tmp_path: Path) -> None:
    go(tmp_path / "r")
    (tmp_path / "r" / "recipe.toml").write_text("[train")
    with pytest.raises(RunError, match=r"recipe.toml is damaged: .*; bring it back from a copy"):
        go(tmp_path / "r")


def test_a_damaged_run_db_is_refused(tmp_path: Path) -> None:
    go(tmp_path / "r")
    (tmp_path / "r" / "run.db").write_bytes(b"not a database, but long enough to look at" * 99)
    with pytest.raises(RunError, match=r"could not open .*run.db: file is not a database; the ch"):
        go(tmp_path / "r")


def test_choices_come_from_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    go(tmp_path / "r", game=FakeGame(can_compile=True), threads=1, precision="bfloat16")
    assert "compiled mode, bfloat16, 1 chosen kernel, 1 thread\n" in capsys.readouterr().out
    game = FakeGame(can_compile=True)
    go(tmp_path / "r", 14, game=game, threads=2, mode="plain", precision="float32", kernels="aten")
    assert game.prepared == ["compiled"]
    assert game.chosen == {"precision": "bfloat16", "kernels": {"gate": "gemm"}}
    output = capsys.readouterr().out
    assert "precision stays bfloat16 as this run began, not float32" in output
    assert "kernels stays as chosen for 1 gates, as this run began, not aten" in output
    assert "threads stays 1 as this run began, not 2" in output
    assert "mode stays compiled as this run began, not plain" in output
    go(tmp_path / "r", 16, game=FakeGame(can_compile=False))
    output = capsys.readouterr().out
    assert "not as in the last sitting: " in output and "mode compiled -> plain" in output


@pytest.mark.parametrize(
    ("faster", "operations", "chosen"), [(1, 10**9, 1), (2, 10**9, 2), (2, 9, 1)]
)
def test_threads_are_measured_once(
    tmp_path: Path, faster: int, operations: int, chosen: int, capsys: pytest.CaptureFixture[str]
) -> None:
    class Timed(FakeGame):
        def work(self) -> tuple[int, int]:
            return 10, operations

        def seconds(self, batch: Any) -> float:
            return 0.1 if torch.get_num_threads() == faster else 0.2

    torch.set_num_threads(2)
    go(tmp_path / "r", game=Timed(can_compile=True))
    assert torch.get_num_threads() == 2
    said = capsys.readouterr().out
    assert f", {chosen} thread" in said
    game = Timed(can_compile=True)
    torch.set_num_threads(3 - chosen)
    go(tmp_path / "r", 14, game=game)  # as recorded, nothing is measured
    assert game.prepared == ["compiled"] and "not as in" not in capsys.readouterr().out


def test_threads_are_given_back(tmp_path: Path) -> None:
    go(tmp_path / "r", threads=2)
    assert torch.get_num_threads() == 1


def test_another_environment_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path / "r")
    monkeypatch.setattr(torch, "__version__", "9.9.9")
    go(tmp_path / "r", 14)
    said = capsys.readouterr().out
    assert "not as in the last sitting: torch 2." in said and "-> 9.9.9: the last bits" in said
    assert len(events(tmp_path / "r", "environment")) == 1


class Signalled(FakeGame):
    """Sends its own process a signal in the middle of a step."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self._signum = signum

    def step(self, batch: torch.Tensor, index: int) -> dict[str, torch.Tensor]:
        if index == 6:
            os.kill(os.getpid(), self._signum)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL  # the second one aborts
        return super().step(batch, index)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(tmp_path: Path, signum: int) -> None:
    go(tmp_path / "whole", 12)
    before = signal.getsignal(signum)
    torch.manual_seed(0)
    with pytest.raises(Interrupted, match=r"stopped at step 7 of 12, saved; to go on: do so") as e:
        go(tmp_path / "r", game=Signalled(signum), again="do so")
    assert e.value.signum == signum and signal.getsignal(signum) is before
    assert last_state(tmp_path / "r")[0] == 7
    go(tmp_path / "r", game=FakeGame())
    assert_same_run(tmp_path / "whole", tmp_path / "r")


def test_a_second_signal_aborts_at_once() -> None:
    code = (
        "import os, signal, time\n"
        "from backlit.train.stopping import StopRequest\n"
        "with StopRequest():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == -signal.SIGINT
    assert b"stopping after this step; once more aborts at once" in done.stderr


@pytest.mark.parametrize(
    ("name", "bad_step", "said"),
    [
        (
            "g.weight",
            7,
            r"step 9: expected finite numbers, but loss_d is nan; first at gate 'mul_7'",
        ),
        ("ema.g.weight", 6, r"step 10: .*, but ema.g.weight has a NaN or infinity; first at .*_6'"),
        ("ema.g.weight", 9, r"step 10: .*, but ema.g.weight has a NaN or infinity; first at .*_9'"),
    ],
)
def test_nan_names_the_first_gate(tmp_path: Path, name: str, bad_step: int, said: str) -> None:
    with pytest.raises(DivergenceError, match=said + r".*; the checkpoint of step 5 in .* is good"):
        go(tmp_path / "r", game=FakeGame(bad_step, name))
    step, state = last_state(tmp_path / "r")
    assert step == 5 and all(bool(tensor.isfinite().all()) for tensor in state.values())
    assert len(events(tmp_path / "r", "divergence")) == 1


def test_nan_from_the_start_saves_nothing(tmp_path: Path) -> None:
    game = FakeGame()
    game.state["g.weight"] = game.state["g.weight"] * float("inf")
    with pytest.raises(DivergenceError, match=r"the game's first state: g.weight has a NaN or inf"):
        go(tmp_path / "r", game=game)
    assert Checkpoints(tmp_path / "r" / "checkpoints").steps() == []


def test_best_keeps_the_lowest_mean(tmp_path: Path) -> None:
    go(tmp_path / "r", 60, best="loss_d")
    checkpoints = Checkpoints(tmp_path / "r" / "checkpoints")
    best = checkpoints.best()
    assert best is not None and set(checkpoints.steps()) == {best, 55, 60}
    with pytest.raises(RecipeError, match=r"train.best: expected a metric \(loss_d, .*got 'fid'"):
        go(tmp_path / "other", best="fid")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, r"train\(\): steps: expected a number above 0, got 0"),
        ({"batch": "8"}, r"train\(\): batch: expected a whole number, got '8'"),
        ({"mode": "fast"}, r"train\(\): mode: expected 'auto', 'compiled', 'plain' or 'watched'"),
        ({"batch": 41}, r"train.batch: expected at most 40, the pictures there are, got 41"),
    ],
)
def test_arguments_are_checked_first(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        go(tmp_path / "r", **change)
    assert not (tmp_path / "r").exists()


def test_progress_is_plain_lines_off_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path / "r", progress=True)
    output = capsys.readouterr().out
    assert "\x1b" not in output and "\r" not in output
    assert "preparing the step: compiling  0:00" in output
    line = next(line for line in output.splitlines() if line.startswith("training: 12/12"))
    assert all(part in line for part in ("loss D ", "loss G ", "D(x) ", "D(G(z)) ", "pictures/s"))


def test_pictures_are_seen_in_the_order_of_the_seed(tmp_path: Path) -> None:
    calls = []
    original = sitting_module.batch_indices

    def spy(n: int, batch: int, seed: int, step: int) -> Any:
        calls.append((n, batch, seed, step))
        return original(n, batch, seed, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sitting_module, "batch_indices", spy)
        go(tmp_path / "r", 3, seed=5)
    assert calls[1:] == [(40, 8, 5, 0), (40, 8, 5, 1), (40, 8, 5, 2)]
