"""`backlit bench`: how fast a training step is here, against plain PyTorch and torch.compile."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def bench(
    rows: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROW]...",
            help="dcgan-64, dcgan-32, wgan-gp, r1, mlp-gan, mlp, lenet, vgg-11, alexnet, lstm, "
            "u-net, or MODULE:OBJECT, a row of your own. All by default.",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fewer samples; without memory, compile time and one peer."),
    ] = False,
    device: Annotated[
        str, typer.Option(help="Where networks and batches lie: cpu, cuda or cuda:N.")
    ] = "cpu",
    json: Annotated[
        Path | None,
        typer.Option(help="Also write what was found here, after each row.", show_default=False),
    ] = None,
) -> None:
    """Measure Backlit against its peers on this machine, all in turns in one process."""
    from backlit import bench as room

    def after(found: room.Found) -> None:
        if json is not None:
            room.write_json(json, found)

    found = room.run_rows(
        rows or (),
        replace(room.QUICK if quick else room.FULL, device=device),
        say=lambda text: typer.echo(text, err=True),
        after=after,
    )
    typer.echo(room.table(found))
