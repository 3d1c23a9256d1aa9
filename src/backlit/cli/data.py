"""`backlit data`: look at a data set before training; bring MNIST and Fashion-MNIST in."""

import io
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(
    name="data",
    help="Look at a data set; bring one in.",
    no_args_is_help=True,
    add_completion=False,
)
From = Annotated[
    Path,
    typer.Option(
        "--from",
        metavar="FILE_OR_FOLDER",
        help="A folder with the four idx files, plain or .gz, one of them, or a Debian package.",
        show_default=False,
    ),
]


@data.command()
def look(
    target: Annotated[
        str,
        typer.Argument(
            help="digits, wine, mnist, fashion-mnist, sunspots, reviews or emoji; else a folder of "
            "pictures or idx files, a table (.csv, .tsv, .parquet) or a text (.txt, .md).",
        ),
    ],
    column: Annotated[
        str | None,
        typer.Option(help="Of a table: the column to predict. By default the last."),
    ] = None,
    series: Annotated[bool, typer.Option("--series", help="Take that column as a series.")] = False,
    level: Annotated[str, typer.Option(metavar="char|word", help="Of a text.")] = "char",
    size: Annotated[int, typer.Option(min=1, help="Of a folder's pictures, in pixels.")] = 64,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The PNG for sample pictures. By default NAME-samples.png here.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show a set: classes, sizes, figures, parts, samples, odd ones; pictures as a PNG."""
    from backlit import data as room
    from backlit.data.cache import write_file

    found = room.open_any(target, column, series, level, size)
    typer.echo(room.summary(found))
    pictures = room.sample_pictures(found)
    if pictures is not None:
        path = out or Path(f"{Path(target).resolve().name}-samples.png")
        buffer = io.BytesIO()
        room.grid(pictures, columns=8, scale=max(1, 64 // pictures.shape[1])).save(buffer, "PNG")
        write_file(path, buffer.getvalue())
        typer.echo(str(path))


@data.command("fashion-mnist")
def fashion_mnist(source: From) -> None:
    """Check the files of Fashion-MNIST and copy them into the cache."""
    _install("fashion-mnist", source)


@data.command("mnist")
def mnist(source: From) -> None:
    """Check the files of MNIST and copy them into the cache."""
    _install("mnist", source)


def _install(name: str, source: Path) -> None:
    from backlit import data as room

    typer.echo(str(room.install(name, source)))
