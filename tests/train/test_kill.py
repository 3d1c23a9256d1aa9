"""kill -9 at twelve moments, then resume: the same bits as a run that was left alone."""

import random
import sqlite3
import time
from pathlib import Path

import pytest
from kill import assert_same_run, finish, kill_after, kill_at, start

SCRIPT = Path(__file__).with_name("killed_script.py")
GAME = Path(__file__).with_name("killed_game.py")
SUPERVISED = Path(__file__).with_name("killed_supervised.py")
CARRY = Path(__file__).with_name("killed_carry.py")
POINTS = [
    "recipe.aside:1",
    "checkpoint.tensors.half:1",
    "checkpoint.tensors.half:3",
    "checkpoint.tensors.done:2",
    "checkpoint.json.half:2",
    "checkpoint.json.done:3",
    "checkpoint.prune:2",
    "log.commit:6",
    "step:33",
]


def test_killed_twelve_times_equals_left_alone(tmp_path: Path) -> None:
    delays_s = [random.uniform(0, 0.4) for _ in range(3)]
    print(f"delays {delays_s}")  # shown where the test fails
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    undisturbed = start(SCRIPT, alone)  # beside the others, to save time
    for point in POINTS:
        kill_at(SCRIPT, killed, point)
    for delay_s in delays_s:
        kill_after(SCRIPT, killed, delay_s)
    output = finish(SCRIPT, killed)

    undisturbed.communicate()
    assert undisturbed.returncode == 0
    assert "going on in" in output
    assert_same_run(alone, killed)
    assert _metrics(alone) == _metrics(killed)
    leftovers = [p.name for p in killed.rglob("*") if p.name.endswith((".aside", ".damaged"))]
    assert leftovers == []


@pytest.mark.slow
def test_the_real_game_killed_twelve_times_equals_left_alone(tmp_path: Path) -> None:
    """DCGAN with batch norm, lazy R1, two D steps and EMA."""
    random_ = random.Random(time.time_ns())
    delays_s = [random_.uniform(0, 0.3) for _ in range(6)]
    print(f"delays {delays_s}")  # shown where the test fails
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    undisturbed = start(GAME, alone)
    points = [f"checkpoint.tensors.half:{k}" for k in (1, 2, 3)]
    for point in [
        *points,
        "checkpoint.json.half:2",
        "log.commit:2",
        f"step:{random_.randint(1, 9)}",
    ]:
        kill_at(GAME, killed, point)
    for delay_s in delays_s:
        kill_after(GAME, killed, delay_s)
    output = finish(GAME, killed)

    undisturbed.communicate()
    assert undisturbed.returncode == 0
    assert "going on in" in output
    assert_same_run(alone, killed)
    assert _metrics(alone) == _metrics(killed)


@pytest.mark.slow
def test_supervised_training_killed_equals_left_alone(tmp_path: Path) -> None:
    """Killed three times: dropout, mixup, plateau schedule, pruning, early stopping."""
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    for point in ["checkpoint.tensors.half:3", "step:17", "checkpoint.json.half:2"]:
        kill_at(SUPERVISED, killed, point)
    finish(SUPERVISED, killed)
    assert "stopped early" in finish(SUPERVISED, alone)
    assert_same_run(alone, killed)
    assert _metrics(alone) == _metrics(killed)
    assert (alone / "scores.json").read_bytes() == (killed / "scores.json").read_bytes()


@pytest.mark.slow
def test_a_carried_state_killed_equals_left_alone(tmp_path: Path) -> None:
    """Killed within an epoch of 12 steps, and at its end: the carry is in the checkpoint."""
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    for point in ["step:8", "checkpoint.tensors.half:2", "step:9"]:
        kill_at(CARRY, killed, point)
    finish(CARRY, killed)
    finish(CARRY, alone)
    assert_same_run(alone, killed)
    assert _metrics(alone) == _metrics(killed)


def _metrics(run: Path) -> list[tuple[int, str, float]]:
    db = sqlite3.connect(run / "run.db")
    try:
        return db.execute("SELECT step, name, value FROM metrics ORDER BY step, name").fetchall()
    finally:
        db.close()
