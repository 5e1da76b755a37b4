"""``gridtwin export``: write a trace in another format."""

from pathlib import Path
from typing import Annotated

import typer

from gridtwin.cli.console import Json, print_json, read


def command(
    source: Annotated[Path, typer.Argument(metavar="JOBS", help="Job records, any format.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The suffix says the format: csv, swf, parquet.")
    ],
    as_json: Json = False,
) -> None:
    """Write a trace as CSV, SWF or Parquet."""
    import gridtwin

    jobs = read(source)
    gridtwin.write(jobs, output)
    if as_json:
        print_json({**jobs.provenance.to_json(), "output": str(output)})
    else:
        typer.echo(f"{len(jobs):,} jobs written to {output}")
