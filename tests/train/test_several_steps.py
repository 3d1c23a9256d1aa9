"""Several steps in one call: the same calls, and so the same bits, however a run is interrupted."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from fake import FakeGame, FakePictures
from kill import assert_same_run, kill_at, last_state, start

from backlit.train import Checkpoints, Interrupted, train
from backlit.train.choices import choose_steps_per_call

SCRIPT = Path(__file__).with_name("killed_several.py")


def go(run: Path, steps: int, game: FakeGame | None = None, **changes: Any) -> FakeGame:
    if game is None:
        torch.manual_seed(0)
        game = FakeGame()
    settings: dict[str, Any] = {"batch": 8, "save_every": 5, "sample_every": 10, "pictures": 4}
    settings |= {"progress": False, "steps_per_call": 5} | changes
    train(game, FakePictures(), steps=steps, run=run, **settings)
    return game


def test_calls_of_several_steps_log_each(tmp_path: Path) -> None:
    game = go(tmp_path / "r", 12)
    assert game.several == [5] and game.ran == [(0, 5), (5, 5)]  # 10 and 11 alone
    run = train(game, FakePictures(), steps=12, run=tmp_path / "r", batch=8, progress=False)
    assert run.metric("loss_d")[0] == list(range(1, 13))


def test_killed_in_the_middle_of_a_call(tmp_path: Path) -> None:
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    undisturbed = start(SCRIPT, alone)
    for fault in ("step:8", "checkpoint.tensors.half:1", "step:13"):
        kill_at(SCRIPT, killed, fault)
    output = start(SCRIPT, killed).communicate(timeout=120)[0]
    undisturbed.communicate()
    assert undisturbed.returncode == 0 and "going on in" in output
    assert_same_run(alone, killed)


def test_raised_steps_join_the_call_that_was_cut_short(tmp_path: Path) -> None:
    whole = go(tmp_path / "whole", 20)
    go(tmp_path / "parts", 13, save_every=3)
    assert Checkpoints(tmp_path / "parts" / "checkpoints").steps() == [10, 13]
    parts = go(tmp_path / "parts", 20, FakeGame(), steps_per_call=0)  # as recorded
    assert whole.ran[2:] == parts.ran == [(10, 5), (15, 5)]
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_without_the_checkpoint_it_goes_on_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path / "r", 13)
    (tmp_path / "r" / "checkpoints" / "step-00000010.json").unlink()
    game = go(tmp_path / "r", 20, FakeGame())
    assert game.ran == [(15, 5)]
    said = capsys.readouterr().out
    assert "no checkpoint of step 10 in" in said and "going on from step 13: the last b" in said


class Signalled(FakeGame):
    """Sends its own process a signal in the middle of a call."""

    def step(self, batch: torch.Tensor, index: int) -> dict[str, torch.Tensor]:
        if index == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return super().step(batch, index)


def test_a_signal_finishes_the_call(tmp_path: Path) -> None:
    go(tmp_path / "whole", 20)
    torch.manual_seed(0)
    with pytest.raises(Interrupted, match=r"stopped at step 10 of 20, saved"):
        go(tmp_path / "r", 20, Signalled())
    assert last_state(tmp_path / "r")[0] == 10
    go(tmp_path / "r", 20, FakeGame())
    assert_same_run(tmp_path / "whole", tmp_path / "r")


def test_changing_rates_keep_steps_apart(tmp_path: Path) -> None:
    decay = {"name": "step", "every": 8}
    game = FakeGame()
    game.rates = {"lr": torch.tensor(1.0)}  # type: ignore[attr-defined]
    assert go(tmp_path / "step", 15, game, schedule=decay).ran == [(0, 5), (10, 5)]
    game = FakeGame()
    assert go(tmp_path / "cosine", 10, game, schedule="cosine").ran == []


def test_chosen_only_where_it_saves_more_than_it_costs(tmp_path: Path) -> None:
    game, spans = FakeGame(can_compile=True), (500, 250, 0, 100_000)
    assert choose_steps_per_call(game, None, spans, 100_000) == 10
    assert choose_steps_per_call(game, None, (500, 250, 0, 35), 100_000) == 5
    assert choose_steps_per_call(game, None, (500, 7), 100_000) == 1
    assert choose_steps_per_call(game, None, spans, 50) == 1
    game.seconds = lambda batch: 0.01  # type: ignore[method-assign]
    assert choose_steps_per_call(game, None, spans, 100_000) == 1
    game = FakeGame(can_compile=True)
    game.seconds = lambda batch: 0.002  # type: ignore[method-assign]
    go(tmp_path / "r", 400, game, steps_per_call=0, save_every=200, sample_every=0)
    assert game.several == [5] and len(game.ran) == 80
    again = go(tmp_path / "r", 410, FakeGame(can_compile=True), steps_per_call=0)
    assert again.several == [5] and again.ran == [(400, 5), (405, 5)]
