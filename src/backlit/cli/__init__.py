"""The command line: thin commands over the rooms below, a file a command.

`main` turns every error of Backlit's own and of the system (a full disk) into one line and exit
code 2; a run stopped by a signal ends with 128 + its number (130 for Ctrl-C).
BACKLIT_TRACEBACK=1 shows where an error came from. torch is imported inside the commands alone,
so that `--help` is instant.
"""

import os
import platform
import signal
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from backlit import __version__
from backlit.cli.bench import bench
from backlit.cli.check import check
from backlit.cli.compare import compare
from backlit.cli.data import data
from backlit.cli.look import look
from backlit.cli.recipes import recipes
from backlit.cli.sample import sample
from backlit.cli.train import train
from backlit.errors import BacklitError

app = typer.Typer(
    name="backlit",
    help="Train neural networks, adversarial ones first, as one visible graph.",
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        print(
            f"backlit {__version__}, PyTorch {version('torch')}, Python {platform.python_version()}"
        )
        raise typer.Exit


@app.callback()
def options(
    shown: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show versions and exit."
        ),
    ] = False,
) -> None:
    """What stands before a command."""


for command in (train, sample, look, check, compare, bench, recipes):
    app.command()(command)
app.add_typer(data)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code.

    Args:
        arguments: command line without the program's name; by default the process's own.
    """
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run a command; return its exit code: 0, 2 for an error, 128 + n for signal n."""
    try:
        return app(arguments or ["--help"], prog_name="backlit", standalone_mode=False) or 0
    except (BacklitError, OSError) as error:
        if os.environ.get("BACKLIT_TRACEBACK") == "1":
            raise
        return _say(str(error))
    except typer.TyperException as error:
        return _say(f"{error.format_message()} (see backlit --help)")
    except (typer.Abort, KeyboardInterrupt):
        return 128 + signal.SIGINT


def _say(text: str) -> int:
    line = " ".join(text.split())
    print(f"backlit: error: {line}", file=sys.stderr)
    return 2
