"""``gridtwin analyse``: key figures, tables and charts of one trace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridtwin.cli.console import Json, print_json, print_table, read

if TYPE_CHECKING:
    from gridtwin.trace import JobTable


def command(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Job records, any format, or a folder of them.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for what is written.")],
    figures: Annotated[str, typer.Option(help="Formats of the charts' files: svg, pdf, png.")] = (
        "svg"
    ),
    queues: Annotated[
        Path | None, typer.Option(help="CSV of queue and site, in place of the sites recorded.")
    ] = None,
    access: Annotated[
        Path | None,
        typer.Option(
            help="Folder with records of the jobs' data: traces, files, transfers, replicas, rses, "
            "truth (.parquet or .csv); any of them."
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "",
    as_json: Json = False,
) -> None:
    """Analyse one trace: queue time, errors, waste, CPU, sites, data access, arrivals, reuse."""
    import gridtwin
    from gridtwin.analysis import analyse
    from gridtwin.analysis.access_report import open_records
    from gridtwin.report.analysis import kpi_text, write_analysis
    from gridtwin.report.export import formats
    from gridtwin.trace import tables

    wanted = formats(figures)
    jobs = _open(source)
    queue_map = None if queues is None else tables.read_queue_map(queues)
    records = {} if access is None else open_records(access)
    analysis = analyse(
        jobs,
        queue_map=queue_map,
        traces=records.get("traces"),
        files=records.get("files"),
        transfers=records.get("transfers"),
        replicas=records.get("replicas"),
        rses=records.get("rses"),
        truth=records.get("truth"),
    )
    analysis.save(output)
    page = write_analysis(
        output,
        analysis,
        title=title or f"Analysis of {source.name}",
        provenance={"command": f"gridtwin analyse, version {gridtwin.__version__}"},
        figures=wanted,
    )
    if as_json:
        print_json({"report": str(page), **analysis.to_json()})
        return
    rows = [
        (name, kpi_text(kpi), f"{kpi.n:,}", kpi.definition) for name, kpi in analysis.kpis.items()
    ]
    print_table(str(source), ["figure", "value", "n", "definition"], rows)
    typer.echo(f"report written to {page}, tables to {output / 'frames'}")


def _open(source: Path) -> "JobTable":
    """Open canonical Parquet lazily, as it may be larger than memory; read all else."""
    from gridtwin.trace.scan import scan

    files = [file for file in sorted(source.glob("*")) if file.is_file()] if source.is_dir() else []
    tables = [file for file in files if not file.name.startswith(".") and file.suffix != ".json"]
    if source.is_dir() and tables and all(file.suffix == ".parquet" for file in tables):
        return scan(source)
    if source.is_file() and source.suffix == ".parquet":
        return scan(source)
    return read(source)
