"""`backlit look`: the graph as text, as a page, as a figure."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backlit.errors import BacklitError

if TYPE_CHECKING:
    from torch import Tensor

    from backlit.graph.show import Description


def look(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:OBJECT|RUN",
            help="A graph, a network, a tuple (network, *inputs) or a function that returns one, "
            "in a Python module or file; or a run folder: its whole training step.",
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="Example input of a network, such as 4x3x32x32, or 4x16:int for whole numbers; "
            "once for each argument.",
            show_default=False,
        ),
    ] = None,
    gate: Annotated[
        str | None, typer.Option(help="Open the card of this gate.", show_default=False)
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            metavar="phase|module|gates",
            help="How deep the table goes. By default gates up to 40 of them, else module.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page that opens by module.", show_default=False),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(help="Write a figure, up to 150 gates.", show_default=False),
    ] = None,
    batch: Annotated[
        int, typer.Option(min=2, help="How many of a run's next pictures to take.")
    ] = 8,
    kernels: Annotated[
        bool,
        typer.Option(
            "--kernels",
            help="Instead of the graph: how each costly gate is computed on this machine, "
            "measured the first time.",
        ),
    ] = False,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Instead of the graph: each layer's parameters and multiply-adds, and what "
            "local connection and weight sharing save.",
        ),
    ] = False,
) -> None:
    """Look at a graph of gates: values, gradients, time, from one watched pass.

    Gradients are those of the loss, or of the sum of a network's outputs.
    """
    from backlit.graph import show

    if kernels:
        from backlit.cli.kernels import kernels_of

        typer.echo(kernels_of(*_found(target, [_example(text) for text in inputs or ()], batch)))
        return
    if layers:
        from backlit.cli.layers import layers_of

        typer.echo(layers_of(*_found(target, [_example(text) for text in inputs or ()], batch)))
        return
    d = _described(target, [_example(text) for text in inputs or ()], batch, pictures=bool(html))
    if html is not None:
        typer.echo(str(show.write_text(html, show.page(d))))
    if svg is not None:
        typer.echo(str(show.write_text(svg, show.svg(d))))
    if gate is not None:
        typer.echo(show.card(d, gate))
    elif level is not None:
        small = level == "gates" and len(d.gates) <= show.SMALL
        typer.echo(show.table(d) if small else show.overview(d, level))
    elif html is None and svg is None:
        typer.echo(show.text(d))


def _found(target: str, inputs: "list[Tensor]", batch: int) -> tuple[Any, tuple[Any, ...]]:
    """What a target names: a game, a graph or something to capture, and its inputs."""
    from backlit.cli.target import load_target
    from backlit.gan import Game

    found, given = load_target(target, batch, tuple(inputs))
    if isinstance(found, type):
        try:
            found, given = found(), tuple(inputs)
        except TypeError as error:
            raise BacklitError(
                f"{target}: expected a class made without arguments: {error}; name an object "
                "or a function that returns one"
            ) from None
    if isinstance(found, Game) and len(given) != 2:
        raise BacklitError(
            f"{target}: expected pictures beside the game; name a tuple (game, pictures, 0)"
        )
    return found, given


def _described(target: str, inputs: "list[Tensor]", batch: int, pictures: bool) -> "Description":
    from backlit.gan import Game
    from backlit.graph import Graph, Watched, capture, show
    from backlit.supervised import Supervised

    found, given = _found(target, inputs, batch)
    if isinstance(found, Game | Supervised):
        samples, index = given
        found.prepare(samples)
        step = (
            list(found.steps.values())[-1]
            if isinstance(found, Supervised)
            else (
                found.steps[max(found.steps)]  # with G, with penalty
            )
        )
        tensors = samples if isinstance(found, Supervised) else {"real": samples}
        times = step.times(tensors, found.seed, index)
        _, watched = step.watch(tensors, found.seed, index)
        title = Path(target).name if Path(target).is_dir() else target
        return step.describe(title=title, watched=watched, times=times, pictures=pictures)
    graph = found if isinstance(found, Graph) else capture(found, *given)
    title = target.rsplit(":", 1)[-1]
    watched = Watched(*show.watch(graph))
    times = show.time_pass(graph)
    return show.describe(graph, title=title, watched=watched, times=times, pictures=pictures)


def _example(text: str) -> "Any":
    """Random numbers of a shape written as 4x3x32x32, or 4x16:int for zeros and ones."""
    import torch

    found = re.fullmatch(r"([1-9]\d*(?:x[1-9]\d*)*)?(:int)?", text)
    if not text or found is None:
        raise BacklitError(f"--input: expected a shape such as 4x3x32x32 or 4x16:int, got '{text}'")
    shape = [int(n) for n in (found[1] or "").split("x") if n]
    generator = torch.Generator().manual_seed(0)
    if found[2]:
        return torch.randint(0, 2, shape, generator=generator)
    return torch.randn(shape, generator=generator)
