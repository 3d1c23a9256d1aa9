"""`backlit train`: pictures or samples in, a run folder out."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from backlit.train import Recipe

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
        typer.Option(
            help="Train on this: for a game a folder of pictures; else a table, a folder of idx "
            "files, a folder of pictures with a sub-folder for each class, or a named set.",
            show_default=False,
        ),
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
    """Train a game on pictures or a network on samples; in a folder that has begun, go on.

    Going on is bit for bit. Ctrl-C finishes the step, saves and says how to go on (exit code
    130); a second one ends the process at once, with the last checkpoint intact.
    """
    from backlit import train as room

    changes: dict[str, object] = {} if steps is None else {"train.steps": steps}
    begun = run is not None and not fresh and (run / "recipe.toml").is_file()
    chosen = recipe or (str(run / "recipe.toml") if run and begun else "demo")
    given = None if data is None else str(data)
    checked = room.load_recipe(chosen, settings or [], changes, given)
    name = Path(chosen).stem + (f"-{data.absolute().stem}" if data else "")
    folder = run or RUNS / name
    if fresh:
        folder = _unused(folder)
    again = f"backlit train --run {shlex.quote(str(folder))}"
    try:
        if isinstance(checked, room.FitRecipe):
            room.follow(checked, folder, again)
        else:
            _play(checked, folder, again)
    except room.Interrupted as stopped:
        raise typer.Exit(128 + stopped.signum) from None


def _play(recipe: "Recipe", folder: Path, again: str) -> None:
    """Train a game."""
    from backlit import train as room

    report = room.reporter()
    game = room.build_game(recipe, recipe.device)
    with report.task("reading pictures") as task:
        pictures = room.build_data(recipe, lambda done, total: task.update(done, total))
    if pictures.skipped:
        name, reason = pictures.skipped[0]
        report.say(f"{len(pictures.skipped)} files skipped, the first: {name} ({reason})")
    options = recipe.train.model_dump()
    room.train(game, pictures, run=folder, recipe=recipe.model_dump(), again=again, **options)


def _unused(folder: Path) -> Path:
    number = 1
    unused = folder
    while unused.exists():
        number += 1
        unused = folder.with_name(f"{folder.name}-{number}")
    return unused
