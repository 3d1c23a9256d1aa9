"""The numbers and events of a run, in SQLite."""

import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

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

    def event(self, step: int, kind: str, text: str) -> None:
        """Note something that happened (start, resume, checkpoint, damage, stop), at once."""
        self.commit((time.time(), step, kind, text))

    def commit(self, event: tuple[float, int, str, str] | None = None) -> None:
        """Bring all waiting metrics to the disk in one transaction."""
        faults.reach("log.commit")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO metrics VALUES (?, ?, ?)", self._waiting)
            if event is not None:
                self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", event)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed("write", error) from error
        self._waiting.clear()
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
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            query = "SELECT step, value FROM metrics WHERE name = ? ORDER BY step"
            rows = db.execute(query, (name,)).fetchall()
            names = [row[0] for row in db.execute("SELECT DISTINCT name FROM metrics")]
        finally:
            db.close()
    except sqlite3.Error as error:
        raise RunError(f"could not read {path}: {error}; expected a run's run.db") from error
    if not rows:
        raise RunError(f"{path} has no metric {name!r}; it has: {', '.join(names) or 'none yet'}")
    return [row[0] for row in rows], [row[1] for row in rows]
