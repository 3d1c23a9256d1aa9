"""The numbers and events of a run, in SQLite."""

import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from backlit.errors import RunError
from backlit.train import faults

_COMMIT_EVERY_S = 2.0
_TABLES = """
CREATE TABLE IF NOT EXISTS metrics (
    step INTEGER, name TEXT, value REAL, PRIMARY KEY (step, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (time REAL, step INTEGER, kind TEXT, text TEXT);
CREATE TABLE IF NOT EXISTS probes (
    step INTEGER, gate TEXT, name TEXT, value REAL, PRIMARY KEY (step, gate, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS verdicts (step INTEGER, kind TEXT, gate TEXT, text TEXT);
"""


class RunLog:
    """run.db: tables metrics, events, probes and verdicts; metrics are committed every 2 s.

    `step` in every table is the number of finished steps, so the first step's losses stand at 1.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[tuple[int, str, float]] = []
        self._read: list[tuple[int, str, str, float]] = []
        self._committed_s = time.monotonic()
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            raise self._failed("open", error) from error

    def record(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note a step's metrics; they reach the disk within about 2 s or at the next checkpoint."""
        self._waiting.extend((step, name, value) for name, value in metrics.items())
        if time.monotonic() - self._committed_s > _COMMIT_EVERY_S:
            self.commit()

    def record_probes(self, step: int, rows: Iterable[tuple[str, str, float]]) -> None:
        """Note what a step's probes read, (probe, statistic, value); they wait as metrics do."""
        self._read.extend((step, *row) for row in rows)

    def event(self, step: int, kind: str, text: str) -> None:
        """Note something that happened (start, resume, checkpoint, damage, stop), at once."""
        self.commit((time.time(), step, kind, text))

    def commit(self, event: tuple[float, int, str, str] | None = None) -> None:
        """Bring all waiting metrics to the disk in one transaction."""
        faults.reach("log.commit")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO metrics VALUES (?, ?, ?)", self._waiting)
            self._db.executemany("INSERT INTO probes VALUES (?, ?, ?, ?)", self._read)
            if event is not None:
                self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", event)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed("write", error) from error
        self._waiting.clear()
        self._read.clear()
        self._committed_s = time.monotonic()

    def forget_after(self, step: int) -> None:
        """Remove what stands beyond a checkpoint's step, so that no step stands twice."""
        try:
            for table in ("metrics", "probes", "verdicts"):
                self._db.execute(f"DELETE FROM {table} WHERE step > ?", (step,))
        except sqlite3.Error as error:
            raise self._failed("write", error) from error

    def mean(self, name: str, first: int, last: int) -> float | None:
        """Return a metric's mean over steps first..last; None where it has no value there."""
        query = "SELECT avg(value) FROM metrics WHERE name = ? AND step BETWEEN ? AND ?"
        return self._db.execute(query, (name, first, last)).fetchone()[0]

    def history(self, name: str) -> list[tuple[int, float]]:
        """Return a metric's (step, value), those not yet on the disk included."""
        query = "SELECT step, value FROM metrics WHERE name = ? ORDER BY step"
        waiting = [(step, value) for step, found, value in self._waiting if found == name]
        return self._db.execute(query, (name,)).fetchall() + waiting

    def close(self) -> None:
        """Close the file; metrics not yet committed are dropped (a resume computes them again)."""
        self._db.close()

    def _failed(self, deed: str, error: sqlite3.Error) -> RunError:
        return RunError(
            f"could not {deed} {self._path}: {error}; the checkpoints beside it are intact: make "
            "room or access, or move a damaged run.db away, then start again with the same folder"
        )


def read_metric(path: Path, name: str) -> tuple[list[int], list[float]]:
    """Return a metric's steps and values from a run.db, also while the run goes on.

    Raises:
        RunError: the file cannot be read, or has no such metric (those it has are listed).
    """
    query = "SELECT step, value FROM metrics WHERE name = ? ORDER BY step"
    rows, names = _rows(path, (query, (name,)), ("SELECT DISTINCT name FROM metrics", ()))
    if not rows:
        known = ", ".join(row[0] for row in names) or "none yet"
        raise RunError(f"{path} has no metric {name!r}; it has: {known}")
    return [row[0] for row in rows], [row[1] for row in rows]


def read_probes(path: Path, step: int | None = None) -> list[tuple[int, str, str, float]]:
    """Return what probes read, (step, probe, statistic, value), also while the run goes on.

    Args:
        path: a run.db.
        step: that step's alone; default all.

    Raises:
        RunError: the file cannot be read, or no probe was read then (the steps are listed).
    """
    where, values = ("", ()) if step is None else (" WHERE step = ?", (step,))
    query = f"SELECT step, gate, name, value FROM probes{where} ORDER BY step, gate, name"
    rows, steps = _rows(path, (query, values), ("SELECT DISTINCT step FROM probes", ()))
    if not rows:
        known = ", ".join(str(row[0]) for row in steps) or "none; see train.probe_every"
        at = "" if step is None else f" at step {step}"
        raise RunError(f"{path} has no readings of probes{at}; expected one of: {known}")
    return rows


def _rows(path: Path, *queries: tuple[str, tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return [db.execute(*query).fetchall() for query in queries]
        finally:
            db.close()
    except sqlite3.Error as error:
        raise RunError(f"could not read {path}: {error}; expected a run's run.db") from error
