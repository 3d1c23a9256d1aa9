"""`backlit train`: pictures in, a run folder out."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

RUNS = Path("runs")


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A bundled recipe (see `backlit recipes`) or a TOML file. Without one: the recipe "
            "of the --run folder if it has begun, else the demo.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Train on this folder of pictures.", show_default=False),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps in all; may be raised later.", show_default=False),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="The run folder. By default runs/ and the recipe's name.", show_default=False
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe, such as optimiser.d.lr=1e-4; may be repeated.",
            show_default=False,
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew in a numbered folder beside one that has begun."),
    ] = False,
) -> None:
    """Train on pictures; in a run folder that has begun, go on bit for bit.

    Ctrl-C finishes the step, saves and says how to go on (exit code 130); a second one ends the
    process at once, with the last checkpoint intact.
    """
    from backlit import train as room

    changes: dict[str, object] = {}
    if data is not None:
        changes |= {"data.source": "folder", "data.path": str(data.absolute())}
    if steps is not None:
        changes["train.steps"] = steps
    begun = run is not None and not fresh and (run / "recipe.toml").is_file()
    chosen = recipe or (str(run / "recipe.toml") if run and begun else "demo")
    checked = room.load_recipe(chosen, settings or [], changes)
    name = Path(chosen).stem + (f"-{data.absolute().name}" if data else "")
    folder = run or RUNS / name
    if fresh:
        folder = _unused(folder)

    report = room.reporter()
    game = room.build_game(checked)
    with report.task("reading pictures") as task:
        pictures = room.build_data(checked, lambda done, total: task.update(done, total))
    if pictures.skipped:
        name, reason = pictures.skipped[0]
        report.say(f"{len(pictures.skipped)} files skipped, the first: {name} ({reason})")
    try:
        room.train(
            game,
            pictures,
            run=folder,
            recipe=checked.model_dump(),
            again=f"backlit train --run {shlex.quote(str(folder))}",
            **checked.train.model_dump(),
        )
    except room.Interrupted as stopped:
        raise typer.Exit(128 + stopped.signum) from None


def _unused(folder: Path) -> Path:
    number = 1
    unused = folder
    while unused.exists():
        number += 1
        unused = folder.with_name(f"{folder.name}-{number}")
    return unused
