"""`backlit sample`: new pictures from a trained generator."""

from pathlib import Path
from typing import Annotated

import typer

from backlit.errors import RunError


def sample(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    n: Annotated[int, typer.Option("--n", min=1, help="How many pictures.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Decides the noise, so the pictures.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="The PNG to write. By default in the run folder.", show_default=False),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="last|best|STEP", help="Which checkpoint.")
    ] = "last",
) -> None:
    """Write a grid of new pictures from a run's generator and print its path."""
    from backlit import train as room

    report = room.reporter()
    game, chosen = room.open_run(run, checkpoint, lambda step, reason: report.say(reason))
    if not isinstance(game, room.Generates):
        raise RunError(f"{run}: expected the run of a game, got supervised training")
    path = out or run / f"sample-{chosen.step:08}-seed{seed}.png"
    room.write_picture(path, game.sample(game.noise(n, seed)))
    report.say(str(path))
