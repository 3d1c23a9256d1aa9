"""`backlit check`: numerical against analytic gradients."""

from typing import Annotated

import typer


def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:OBJECT|RUN",
            help="A graph, a gate, a tuple (network, *inputs) or a function that returns one, in "
            "a Python module or file; or a run folder, checked where its last checkpoint stands.",
        ),
    ],
    batch: Annotated[
        int, typer.Option(min=2, help="How many of a run's next pictures to take.")
    ] = 8,
    tolerance: Annotated[float, typer.Option(min=0, help="Relative error that passes.")] = 1e-6,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise inside, such as dropout.")] = 0,
) -> None:
    """Check every gradient against numerical differences, in float64.

    Prints a line for each parameter; ends with 1 where a gradient is wrong, naming the gate.
    """
    from backlit.cli.target import load_target
    from backlit.graph import check as check_gradients

    found, inputs = load_target(target, batch)
    report = check_gradients(found, *inputs, seed=seed, tolerance=tolerance)
    typer.echo(str(report))
    if not report.passed:
        raise typer.Exit(1)
