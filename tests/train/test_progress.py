"""Progress: bars on a terminal, sparse lines elsewhere."""

import io

import pytest
from rich.console import Console

from backlit.train import progress, reporter
from backlit.train.progress import BarReporter, PlainReporter, duration


def test_plain_lines_are_sparse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with PlainReporter().task("training") as task:
        for step in range(1, 3601):
            now[0] += 1.0
            task.update(step, 3600, "loss D 0.5")
    lines = capsys.readouterr().out.splitlines()
    assert 60 < len(lines) < 120
    assert lines[0] == "training: 5/3,600  loss D 0.5  59:55 left"
    assert lines[-1] == "training: 3,600/3,600  loss D 0.5  59:59"


def test_quiet_keeps_notices(capsys: pytest.CaptureFixture[str]) -> None:
    report = reporter(show=False)
    with report.task("training") as task:
        task.update(1, 1)
    report.say("a notice")
    assert capsys.readouterr().out == "a notice\n"


def test_a_bar_on_a_terminal() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120)
    report = BarReporter(console)
    with report.task("training [x]") as task:
        task.update(1000, 2000, "loss D 0.500  [D(x)] 0.600")
        report.say("a [notice] within")
        task.update(2000, 2000, "loss D 0.400  [D(x)] 0.700")
    shown = stream.getvalue()
    assert "a [notice] within" in shown
    assert "2,000/2,000" in shown and "[D(x)] 0.700" in shown


def test_work_without_a_known_length(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainReporter().task("compiling") as task:
        task.update(3, None)
    assert capsys.readouterr().out == "compiling: 3  0:00\n"


@pytest.mark.parametrize(("seconds", "shown"), [(42, "0:42"), (187, "3:07"), (3723, "1:02:03")])
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
