"""``gridtwin simulate``: run a trace through a scheduler on a machine or platform."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gridtwin.cli.console import Cores, Json, Seed, print_json, print_table, read, say

if TYPE_CHECKING:
    from gridtwin.sim import Broker


def command(
    jobs: Annotated[Path, typer.Option(help="Job records, any format.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for the run.")
    ],
    cores: Cores = None,
    platform: Annotated[Path | None, typer.Option(help="Sites and their cores, TOML.")] = None,
    policy: Annotated[str, typer.Option(help="How jobs are started: fcfs, easy…")] = "easy",
    broker: Annotated[
        str | None,
        typer.Option(help="How jobs are sent to the sites of a platform: least_loaded, random…"),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Run a trace through a scheduler; save the jobs, the timeline and a summary."""
    if cores is not None and platform is not None:
        raise typer.BadParameter("give --cores or --platform, not both", param_hint="--platform")
    import gridtwin

    result = gridtwin.simulate(
        read(jobs),
        cores=cores,
        platform=platform,
        policy=policy,
        broker=cast("Broker | None", broker),  # simulate checks it
        seed=seed,
    )
    result.save(output)
    summary = result.summary()
    if as_json:
        print_json({**summary, "rejections": result.rejected, "output": str(output)})
        return
    for reason, count in result.rejected.items():
        say(f"{jobs}: {count} jobs not simulated: {reason}")
    print_table(f"{jobs} under {policy}", ["", "value"], list(summary.items()))
    typer.echo(f"jobs, timeline and summary written to {output}")
