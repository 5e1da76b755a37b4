"""``gridtwin ingest``: job records of any known format into one typed table."""

from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from gridtwin.cli.console import (
    Json,
    WhereOption,
    Workers,
    executor,
    print_json,
    print_table,
    say,
)


class Selection(StrEnum):
    """What to keep of a grid's records."""

    user = "user"
    daod = "daod"


class Definition(StrEnum):
    """A named workload."""

    work = "work"
    work_occupancy = "work_occupancy"
    work_paper = "work_paper"


def command(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SRC…", help="Files of one format, a folder, or a database."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="jobs.parquet, .csv, .swf, or a folder of Parquet."),
    ],
    format: Annotated[
        str, typer.Option(help="Format of the sources; auto looks at the content.")
    ] = "auto",
    rejects: Annotated[
        Path | None, typer.Option(help="CSV for the rows that are not kept, with the reason.")
    ] = None,
    query: Annotated[
        str | None, typer.Option(help="What to select from a database (postgresql://, …).")
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="The table of a database, instead of a query.")
    ] = None,
    keep_names: Annotated[
        bool, typer.Option("--keep-names", help="Keep users' names instead of pseudonyms.")
    ] = False,
    queue_map: Annotated[
        Path | None, typer.Option(help="CSV of queue and site, beside the shipped map of queues.")
    ] = None,
    select: Annotated[
        Selection | None,
        typer.Option(help="Keep user analysis alone, or that of derived data (daod)."),
    ] = None,
    workers: Workers = None,
    where: WhereOption = None,
    workload: Annotated[
        Definition | None, typer.Option(help="Add core power and this workload, in HS23 s.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read job records into one table of canonical columns; count every row not kept.

    Files are converted as tasks, one a file.

    Names of users are replaced by hashes with the key in GRIDTWIN_KEY, or one drawn for this run.
    """
    import gridtwin
    from gridtwin.trace import panda
    from gridtwin.trace.sources import refuse_overwriting

    source = sources[0] if len(sources) == 1 else sources
    refuse_overwriting(source, output, rejects)
    selected = select is not None or workload is not None
    at_once = not selected and output.suffix in (".parquet", "")
    funnel = None
    with TemporaryDirectory() as folder:
        jobs = gridtwin.ingest(
            source,
            output if at_once else Path(folder) / "jobs.parquet",
            format=format,
            query=query,
            table=table,
            rejects=rejects,
            keep_names=keep_names,
            queue_map=queue_map,
            executor=executor(where, workers),
        )
        columns = jobs.columns
        if select is not None:
            jobs, funnel = panda.select(jobs, daod=select is Selection.daod)
        if workload is not None:
            jobs = panda.work(jobs, workload.value)
        if not at_once:
            gridtwin.write(jobs, output)
            columns = jobs.columns
    origin = jobs.provenance.to_json()
    if as_json:
        document = {**origin, "output": str(output), "columns": columns}
        if funnel is not None:
            document["funnel"] = funnel.frame().to_dicts()
        print_json(document)
        return
    for note in jobs.provenance.notes:
        say(f"note: {note}")
    rows = [("rows read", origin["rows_read"]), ("rows kept", origin["rows_kept"])]
    rows += [(f"not kept: {reason}", count) for reason, count in origin["dropped"].items()]
    print_table(f"{origin['source']} ({origin['format']})", ["", "jobs"], rows)
    if funnel is not None:
        steps = funnel.frame()
        print_table("Selection", steps.columns, steps.rows())
    typer.echo(f"written to {output}: {', '.join(columns)}")
