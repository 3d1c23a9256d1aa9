"""Progress of long work: a live bar on a terminal, sparse plain lines anywhere else."""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_FIRST_LINE_AFTER_S = 5.0


class Task(Protocol):
    """A piece of long work under way."""

    def update(self, done: int, total: int | None, text: str = "") -> None:
        """Say how much is done, with the numbers worth seeing."""
        ...


class Reporter(Protocol):
    """Where notices and progress go."""

    def say(self, line: str) -> None:
        """Print one line."""
        ...

    def task(self, what: str) -> AbstractContextManager[Task]:
        """Show a piece of long work while the `with` block runs."""
        ...


class BarReporter:
    """A rich bar that stays, finished, when the work is done."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def task(self, what: str) -> Iterator[Task]:
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
        )
        with bar:
            yield _Bar(bar, what)


class _Bar:
    def __init__(self, bar: Progress, what: str) -> None:
        self._bar = bar
        self._id = bar.add_task(what, total=None, visible=False, count="", text="")
        self._started = False

    def update(self, done: int, total: int | None, text: str = "") -> None:
        if not self._started:
            # The time left is measured from here: a resumed run does not begin at nought.
            self._bar.reset(self._id, total=total, completed=done)
            self._started = True
        count = _count(done, total)
        self._bar.update(
            self._id, completed=done, total=total, visible=True, count=count, text=text
        )


class PlainReporter:
    """Lines without control codes, rarer as the work goes on; or none but the notices.

    Args:
        quiet: leave out the progress, keep the notices.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet

    def say(self, line: str) -> None:
        print(line, flush=True)

    @contextmanager
    def task(self, what: str) -> Iterator[Task]:
        lines = _Lines(what, self._quiet)
        yield lines
        lines.finish()


class _Lines:
    def __init__(self, what: str, quiet: bool) -> None:
        self._what = what
        self._quiet = quiet
        self._start_s = time.monotonic()
        self._next_s = self._start_s + _FIRST_LINE_AFTER_S
        self._first: int | None = None
        self._last: tuple[int, int | None, str] | None = None

    def update(self, done: int, total: int | None, text: str = "") -> None:
        if self._first is None:
            self._first, self._start_s = done, time.monotonic()
        self._last = (done, total, text)
        now_s = time.monotonic()
        if now_s >= self._next_s:
            # A twentieth of the time gone: an hour of training makes about 90 lines.
            self._next_s = now_s + max(_FIRST_LINE_AFTER_S, (now_s - self._start_s) / 20)
            self._print(now_s)

    def finish(self) -> None:
        if self._last is not None:
            self._print(time.monotonic())

    def _print(self, now_s: float) -> None:
        if self._quiet or self._last is None or self._first is None:
            return
        done, total, text = self._last
        parts = [_count(done, total), text]
        passed_s = now_s - self._start_s
        if total is not None and self._first < done < total:
            left_s = passed_s * (total - done) / (done - self._first)
            parts.append(f"{duration(left_s)} left")
        else:
            parts.append(duration(passed_s))
        print(f"{self._what}: {'  '.join(part for part in parts if part)}", flush=True)


def _count(done: int, total: int | None) -> str:
    if total is None:
        return f"{done:,}" if done else ""
    return f"{done:,}/{total:,}"


def duration(seconds: float) -> str:
    """Return a length of time as 0:42, 3:07 or 1:02:03."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def reporter(show: bool = True) -> Reporter:
    """Return bars where stdout is a terminal, lines elsewhere, notices alone if not to be shown."""
    if show and sys.stdout.isatty():
        return BarReporter()
    return PlainReporter(quiet=not show)
