"""``gridtwin compare-policies``: queueing policies on the same sequences of a trace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gridtwin.cli.console import Cores, Json, json_text, print_json, print_table, read, say

if TYPE_CHECKING:
    from gridtwin.policy.batch.stream import Stream
    from gridtwin.policy.compare import Comparison, Objective, Protocol
    from gridtwin.sim.policies import Backfill


def command(
    jobs: Annotated[
        Path, typer.Argument(metavar="JOBS", help="Job records, any format; one machine's.")
    ],
    policy: Annotated[
        list[str] | None,
        typer.Option(help="A policy as sjf or f1+easy; repeat it. By default twelve."),
    ] = None,
    backfill: Annotated[
        str, typer.Option(help="Of policies that say nothing of it: none, easy, conservative.")
    ] = "none",
    baseline: Annotated[
        str | None, typer.Option(help="What the others are compared with; by default the first.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="bsld, wait, turnaround, utilization or worst_user.")
    ] = "bsld",
    protocol: Annotated[
        str,
        typer.Option(
            help="paired, or published: RLScheduler's ten sequences and semantics, from SWF."
        ),
    ] = "paired",
    sequences: Annotated[
        int | None, typer.Option(min=1, help="How many; by default 100, published 10.")
    ] = None,
    length: Annotated[int, typer.Option(min=1, help="Jobs of a sequence.")] = 1024,
    first: Annotated[
        int | None, typer.Option(min=1, help="Use only the trace's first jobs.")
    ] = None,
    trim: Annotated[
        float, typer.Option(min=0, max=0.49, help="Share not counted at either end of a sequence.")
    ] = 0.0,
    commit: Annotated[
        bool,
        typer.Option("--commit", help="Whoever is first blocks until it starts, whatever comes."),
    ] = False,
    cores: Cores = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the sequences; by default 0, published 1.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", file_okay=False, help="Folder for comparison.json and report.html."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare queueing policies on the same sequences of a trace's jobs."""
    from gridtwin.core.errors import UnknownNameError
    from gridtwin.core.files import writing
    from gridtwin.policy.compare import DEFAULT, OBJECTIVES, PROTOCOLS, compare, named

    for kind, name, known in (
        ("objective", objective, OBJECTIVES),
        ("protocol", protocol, PROTOCOLS),
        ("backfilling", backfill, ("none", "easy", "conservative")),
    ):
        if name not in known:
            raise UnknownNameError(kind, name, known)
    mode = cast("Backfill", backfill)
    stream = _stream(jobs, protocol, cores)
    found = compare(
        stream if first is None else stream.head(first),
        named(policy or DEFAULT, mode),
        objective=cast("Objective", objective),
        baseline=None if baseline is None else named([baseline], mode)[0],
        protocol=cast("Protocol", protocol),
        sequences=sequences,
        length=length,
        trim=trim,
        commit=commit,
        seed=seed,
    )
    for reason, count in found.dropped.items():
        say(f"{jobs}: {count} jobs left out: {reason}")
    for warning in found.warnings:
        say(f"warning: {warning}")
    if output is not None:
        from gridtwin.report.policies import write_policies_report

        with writing(output / "comparison.json") as path:
            path.write_text(json_text(found.to_json()) + "\n")
        write_policies_report(found, output / "report.html", source=str(jobs))
    if as_json:
        print_json(found.to_json())
        return
    _print(found)
    if output is not None:
        typer.echo(f"comparison.json and report.html written to {output}")


def _stream(jobs: Path, protocol: str, cores: int | None) -> "Stream":
    """Read the trace as the protocol wants it."""
    from gridtwin.core.errors import InputError
    from gridtwin.policy.batch.stream import from_table, read_rlscheduler

    if protocol == "paired":
        return from_table(read(jobs), cores=cores)
    if cores is not None:
        raise InputError("the published protocol takes the machine's size from the SWF header")
    return read_rlscheduler(jobs)


def _print(found: "Comparison") -> None:
    titles = ["policy", "mean", "geo-mean", "p95", "log ratio", "95 % interval", "wins"]
    titles += ["bsld", "wait (s)", "utilization", "worst user", "fairness"]
    print_table(
        f"{found.objective} of {found.sequences} sequences of {found.length} jobs, "
        f"beside {found.baseline}; offered load {found.load:.2f}",
        titles,
        [
            [
                *(row.policy, row.mean, row.geo_mean, row.p95, row.log_ratio),
                f"{row.low:+.3f} to {row.high:+.3f}",
                *(row.wins, row.bsld, row.wait, row.utilization, row.worst_user, row.fairness),
            ]
            for row in found.rows
        ],
    )
