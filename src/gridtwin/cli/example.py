"""``gridtwin example``: write a synthetic example trace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridtwin.cli.console import Json, Seed, print_json, say

if TYPE_CHECKING:
    from gridtwin.trace import Provenance


def command(
    name: Annotated[str, typer.Argument(help="panda (a grid) or lublin (a parallel machine).")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="jobs.parquet, .csv or .swf.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="panda: length of the trace.")] = 7,
    scale: Annotated[float, typer.Option(help="panda: fraction of the load of the grid.")] = 1.0,
    start: Annotated[str, typer.Option(help="panda: first day.")] = "2024-01-01",
    jobs: Annotated[int, typer.Option(min=1, help="lublin: number of jobs.")] = 10_000,
    seed: Seed = 0,
    traces: Annotated[
        Path | None,
        typer.Option(
            help="panda: folder for the jobs, the traces, files, transfers and replicas of their "
            "data, and the truth."
        ),
    ] = None,
    daily: Annotated[
        Path | None, typer.Option(help="panda: folder for one Parquet file of jobs per day.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a synthetic example trace; no row is a real job."""
    from gridtwin.core.errors import InputError
    from gridtwin.trace import examples

    if name not in examples.names():
        examples.load(name)  # says which there are
    if name != "panda" and (traces or daily):
        raise InputError(f"--traces and --daily are of the example panda only, not of {name}")
    written = [path for path in (output, traces, daily) if path is not None]
    if not written:
        raise InputError("nothing to write: give -o FILE, or --traces DIR or --daily DIR for panda")
    if name == "panda":
        origin = _panda(output, traces, daily, days=days, seed=seed, scale=scale, start=start)
    else:
        origin = _whole(name, written[0], n=jobs, seed=seed)
    paths = ", ".join(map(str, written))
    if as_json:
        print_json({**origin.to_json(), "output": [str(path) for path in written]})
        return
    for note in origin.notes:
        say(f"note: {note}")
    typer.echo(f"{origin.rows_read:,} jobs of the {origin.source} written to {paths}")


def _panda(
    output: Path | None, traces: Path | None, daily: Path | None, **options: int | float | str
) -> "Provenance":
    from gridtwin.trace.examples import panda

    origins = []
    if output is not None:
        if output.name.endswith(".parquet"):
            origins.append(panda.write(output, **options))  # type: ignore[arg-type]
        else:
            origins.append(_whole("panda", output, **options))
    if daily is not None:
        origins.append(panda.write_daily(daily, **options))  # type: ignore[arg-type]
    if traces is not None:
        made = panda.load_traces(**options)  # type: ignore[arg-type]
        panda.write_traces(traces, made)
        origins.append(made.jobs.provenance)
    return origins[0]


def _whole(name: str, output: Path, **options: int | float | str) -> "Provenance":
    import gridtwin

    table = gridtwin.examples.load(name, **options)
    gridtwin.write(table, output)
    return table.provenance
