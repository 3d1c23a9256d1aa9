"""`backlit compare`: the curves of several runs on one scale."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of supervised training.")],
    out: Annotated[Path, typer.Option(help="The picture.")] = Path("compare.png"),
) -> None:
    """Draw the training and validation curves of runs on one scale, and say which overfits."""
    from backlit.train import compare_runs, reporter

    report = reporter()
    for name, found in compare_runs(runs, out).items():
        report.say(f"{name}: {found.text}")
    report.say(str(out))
