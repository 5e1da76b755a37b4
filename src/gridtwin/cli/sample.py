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
    days: Annotated[
        float | None, typer.Option(help="What if: so many days, shorter or longer than fitted.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="What if: begin on a weekday ('monday') or at an instant.")
    ] = None,
    rate: Annotated[float, typer.Option(help="What if: so many times the arrivals.")] = 1.0,
    where: Annotated[
        list[str] | None,
        typer.Option(help="What if: only jobs like site=BNL; again for another value."),
    ] = None,
    mix: Annotated[
        list[str] | None,
        typer.Option(help="What if: another share of jobs, status:failed=0.3; again for more."),
    ] = None,
    without_user: Annotated[
        list[str] | None, typer.Option(help="What if: without this user; again for more.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a synthetic trace from a fitted model, or from the world that a what-if describes."""
    import gridtwin

    jobs = gridtwin.models.load(model).sample(
        n,
        seed=seed,
        days=days,
        start=start,
        rate=rate,
        where=_where(where or []),
        mix=_mix(mix or []),
        without_users=without_user or [],
    )
    gridtwin.write(jobs, output)
    if as_json:
        print_json({**jobs.provenance.to_json(), "output": str(output), "columns": jobs.columns})
    else:
        typer.echo(f"{len(jobs):,} synthetic jobs written to {output}")


def _where(texts: list[str]) -> dict[str, list[str]]:
    """Read ``column=value`` texts."""
    found: dict[str, list[str]] = {}
    for text in texts:
        column, equal, value = text.partition("=")
        if not (column and equal):
            raise typer.BadParameter(f"{text!r} is not column=value", param_hint="--where")
        found.setdefault(column, []).append(value)
    return found


def _mix(texts: list[str]) -> dict[str, dict[str, float]]:
    """Read ``column:value=share`` texts."""
    found: dict[str, dict[str, float]] = {}
    for text in texts:
        name, equal, share = text.rpartition("=")
        column, colon, value = name.partition(":")
        try:
            number = float(share)
        except ValueError:
            equal = ""
        if not (column and colon and equal):
            raise typer.BadParameter(f"{text!r} is not column:value=share", param_hint="--mix")
        found.setdefault(column, {})[value] = number
    return found
