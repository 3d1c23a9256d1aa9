"""run.db: metrics reach the disk in time, and no step stands twice."""

import sqlite3
from pathlib import Path

import pytest

from backlit.errors import RunError
from backlit.train import RunLog, read_metric, read_probes
from backlit.train import log as log_module


def test_metrics_wait_and_are_committed_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.db"
    log = RunLog(path)
    log.record(1, {"loss": 0.5})
    with pytest.raises(RunError, match=r"has no metric 'loss'; it has: none yet"):
        read_metric(path, "loss")
    monkeypatch.setattr(log_module, "_COMMIT_EVERY_S", 0.0)
    log.record(2, {"loss": 0.25})
    assert read_metric(path, "loss") == ([1, 2], [0.5, 0.25])
    assert log.mean("loss", 1, 2) == 0.375 and log.mean("loss", 5, 9) is None
    log.close()


def test_forgotten_steps_can_be_written_again(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "run.db")
    for step in (1, 2, 3):
        log.record(step, {"loss": float(step)})
    log.event(3, "checkpoint", "saved")
    log.forget_after(1)
    log.record(2, {"loss": 9.0})
    log.commit()
    assert read_metric(tmp_path / "run.db", "loss") == ([1, 2], [1.0, 9.0])
    log.record(2, {"loss": 9.0})
    with pytest.raises(RunError, match=r"could not write .*run.db: UNIQUE constraint failed"):
        log.commit()
    log.close()


def test_the_tables_are_there(tmp_path: Path) -> None:
    RunLog(tmp_path / "run.db").close()
    db = sqlite3.connect(tmp_path / "run.db")
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"metrics", "events", "probes", "verdicts"}
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"could not read .*run.db: unable to open.*; expected a"):
        read_metric(tmp_path / "run.db", "loss")


def test_probes_are_read_back_as_a_table(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    log = RunLog(path)
    with pytest.raises(RunError, match=r"no readings of probes; expected one of: none; see train"):
        read_probes(path)
    for step in (50, 100):
        log.record_probes(step, [("net.0", "mean", step / 100), ("net.0", "std", 1.0)])
    log.commit()
    assert read_probes(path, 50) == [(50, "net.0", "mean", 0.5), (50, "net.0", "std", 1.0)]
    assert len(read_probes(path)) == 4
    with pytest.raises(RunError, match=r"probes at step 7; expected one of: 50, 100"):
        read_probes(path, 7)
    log.forget_after(50)
    assert {row[0] for row in read_probes(path)} == {50}
    log.close()
