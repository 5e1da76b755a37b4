"""``gridtwin sample``: draw a synthetic trace from a fitted model."""

from pathlib import Path
from typing import Annotated

import typer

from gridtwin.cli.console import Json, print_json


def command(
    model: Annotated[
        Path, typer.Argument(file_okay=False, help="Folder written by 'gridtwin train'.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="synth.parquet, .csv or .swf.")],
    n: Annotated[
        int | None, typer.Option("-n", min=0, help="Number of jobs; by default as many as fitted.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed; by default the one of the training.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a synthetic trace from a fitted model."""
    import gridtwin

    jobs = gridtwin.models.load(model).sample(n, seed=seed)
    gridtwin.write(jobs, output)
    if as_json:
        print_json({**jobs.provenance.to_json(), "output": str(output), "columns": jobs.columns})
    else:
        typer.echo(f"{len(jobs):,} synthetic jobs written to {output}")
