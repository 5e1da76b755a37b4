"""``gridtwin anomalies``: which jobs of a trace are odd, and what makes them odd."""

from pathlib import Path
from typing import Annotated

import typer

from gridtwin.cli.console import Json, Seed, print_json, print_table, read


def command(
    source: Annotated[Path, typer.Argument(metavar="JOBS", help="Job records, any format.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="All jobs by score: odd.parquet or odd.csv.")
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]|DIR",
            help="cart or tabddpm, fitted to the other days of the trace; or a saved model.",
        ),
    ] = "cart",
    top: Annotated[int, typer.Option(min=0, help="Jobs to print.")] = 20,
    folds: Annotated[
        int, typer.Option(min=2, help="Models to fit: each judges the days that it has not seen.")
    ] = 2,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score each job of a trace by how odd it is, and name the columns that make it odd."""
    from gridtwin import models
    from gridtwin.cli.benchmark import parse_model
    from gridtwin.study.anomalies import anomalies

    jobs = read(source)
    if (Path(model) / "model.json").is_file():
        found = anomalies(jobs, models.load(model))
    else:
        found = anomalies(jobs, parse_model(model).fit, folds=folds, seed=seed)
    found.save(output)
    head = found.frame.head(top).select("job_id", "score", "why")
    if as_json:
        print_json({"model": found.model, "output": str(output), "oddest": head.to_dicts()})
    else:
        print_table(f"{source}: the oddest of {len(found.frame):,} jobs", head.columns, head.rows())
        typer.echo(f"all jobs written to {output}")
