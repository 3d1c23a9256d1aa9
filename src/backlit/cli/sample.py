"""`backlit sample`: new pictures from a trained generator, new text from a trained model."""

from pathlib import Path
from typing import Annotated

import typer

from backlit.errors import RunError


def sample(
    run: Annotated[Path, typer.Argument(help="The run folder.")],
    n: Annotated[
        int | None,
        typer.Option(
            "--n", min=1, help="How many: 64 pictures, 200 tokens of text.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides the noise, so the result.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write. By default a PNG in the run folder; text is printed.",
            show_default=False,
        ),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(metavar="last|best|STEP", help="Which checkpoint.")
    ] = "last",
    temperature: Annotated[
        float,
        typer.Option(min=0, help="Of text: below 1 likelier tokens, 0 always the likeliest."),
    ] = 0.8,
) -> None:
    """Write a grid of new pictures from a run's generator, or print new text from its model."""
    from backlit import train as room
    from backlit.train.files import write_whole

    report = room.reporter()
    game, chosen = room.open_run(run, checkpoint, lambda step, reason: report.say(reason))
    if not isinstance(game, room.Generates):
        recipe = room.run_recipe(run)
        draw = room.build_task(recipe).sample if isinstance(recipe, room.FitRecipe) else None
        if draw is None:
            raise RunError(
                f"{run}: expected the run of a game or of a text, got supervised training"
            )
        text = draw(game, n or 200, temperature, seed)
        if out is not None:
            write_whole(out, f"{text}\n".encode(), "text")
        report.say(text if out is None else str(out))
        return
    path = out or run / f"sample-{chosen.step:08}-seed{seed}.png"
    room.write_picture(path, game.sample(game.noise(n or 64, seed)))
    report.say(str(path))
