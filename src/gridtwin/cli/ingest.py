"""``gridtwin ingest``: job records of any known format into one typed table."""

from pathlib import Path
from typing import Annotated

import typer

from gridtwin.cli.console import Json, print_json, print_table, say


def command(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC…", help="Files of one format, or a folder.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="jobs.parquet, .csv or .swf.")],
    format: Annotated[
        str, typer.Option(help="Format of the sources; auto looks at the content.")
    ] = "auto",
    rejects: Annotated[
        Path | None, typer.Option(help="CSV for the rows that are not kept, with the reason.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read job records into one table of canonical columns; count every row not kept."""
    import gridtwin

    source = sources[0] if len(sources) == 1 else sources
    jobs = gridtwin.read(source, format=format, rejects=rejects)
    gridtwin.write(jobs, output)
    origin = jobs.provenance.to_json()
    if as_json:
        print_json({**origin, "output": str(output), "columns": jobs.columns})
        return
    for note in jobs.provenance.notes:
        say(f"note: {note}")
    rows = [("rows read", origin["rows_read"]), ("rows kept", origin["rows_kept"])]
    rows += [(f"not kept: {reason}", count) for reason, count in origin["dropped"].items()]
    print_table(f"{origin['source']} ({origin['format']})", ["", "jobs"], rows)
    typer.echo(f"written to {output}: {', '.join(jobs.columns)}")
