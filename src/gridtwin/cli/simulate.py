"""``gridtwin simulate``: run a trace through the schedulers of a machine or a grid."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gridtwin.cli.console import Cores, Json, Seed, print_json, print_table, read, say

if TYPE_CHECKING:
    import polars as pl

    from gridtwin.sim import Broker, Result
    from gridtwin.sim.faults import Faults
    from gridtwin.sim.formats.scenario import Scenario


def command(
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for the run.")
    ],
    jobs: Annotated[Path | None, typer.Option(help="Job records, any format.")] = None,
    scenario: Annotated[
        Path | None,
        typer.Option(
            help="Instead of --jobs, another simulator's: CGSim's config, Batsim's workload, a "
            "workflow in WfFormat, or DCSim's platform with --workloads."
        ),
    ] = None,
    datasets: Annotated[
        Path | None, typer.Option(help="With --scenario: DCSim's data sets, JSON.")
    ] = None,
    workloads: Annotated[
        Path | None, typer.Option(help="With --scenario: DCSim's workloads, JSON.")
    ] = None,
    cores: Cores = None,
    platform: Annotated[
        Path | None,
        typer.Option(
            help="Sites, storages and network: TOML or JSON, SimGrid's XML, CGSim's config or "
            "sites JSON."
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="How jobs are started: fcfs, easy, fair_share, f1+easy… By default easy, or fcfs "
            "where a site has several pools."
        ),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(help="How jobs are sent to sites: least_loaded, data_local, mct, recorded…"),
    ] = None,
    placement: Annotated[
        str | None,
        typer.Option(help="How data are placed: popularity, hot_set, prefetch, prefetch+lru…"),
    ] = None,
    placement_every: Annotated[
        float, typer.Option(min=0.001, help="Hours from one decision on placement to the next.")
    ] = 6.0,
    failures: Annotated[
        Path | None, typer.Option(help="How often and in which ways jobs fail, TOML or JSON.")
    ] = None,
    failure_rate: Annotated[
        float | None, typer.Option(min=0, max=1, help="Chance that an attempt fails.")
    ] = None,
    retries: Annotated[
        int | None, typer.Option(min=0, help="How often a failed job is tried again.")
    ] = None,
    outages: Annotated[
        Path | None, typer.Option(help="Times in which sites are closed, TOML or JSON.")
    ] = None,
    local: Annotated[
        Path | None, typer.Option(help="Records of others' jobs, run at their own sites.")
    ] = None,
    replicas: Annotated[
        Path | None, typer.Option(help="Where files or data sets are, Parquet.")
    ] = None,
    files: Annotated[Path | None, typer.Option(help="Which files jobs read, Parquet.")] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Site or router of files that are nowhere else.")
    ] = None,
    parents: Annotated[
        Path | None, typer.Option(help="Which jobs wait for which, Parquet: job_id, parent.")
    ] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Read inputs beside the payload.")] = (
        False
    ),
    walltime: Annotated[
        bool, typer.Option("--walltime", help="Kill jobs after the time they asked for.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many events, whatever is left.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Write these too: cgsim, cgsim_data, batsim, dcsim."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report/--no-report", help="Whether to write report.html, too.")
    ] = True,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Run a trace through schedulers; save the jobs, the timeline, a summary and a page."""
    if cores is not None and platform is not None:
        raise typer.BadParameter("give --cores or --platform, not both", param_hint="--platform")
    if (jobs is None) == (scenario is None):
        raise typer.BadParameter("give one of them", param_hint="--jobs, --scenario")
    import gridtwin
    from gridtwin.sim.use import check_formats

    chosen = check_formats(formats or [])
    source = cast("Path", jobs or scenario)
    told: tuple[str, ...] = ()
    asked: dict[str, Any]
    if scenario is None:
        if datasets is not None or workloads is not None:
            raise typer.BadParameter("needs --scenario", param_hint="--datasets, --workloads")
        table = read(source)
        asked = {"cores": cores, "platform": platform, "stream": stream, "walltime": walltime}
        asked |= {"local": None if local is None else read(local), "origin": origin or None}
        frames = {"replicas": replicas, "files": files, "parents": parents}
        asked |= {name: _frame(path) for name, path in frames.items()}
    else:
        given = {"--cores": cores, "--local": local, "--replicas": replicas, "--files": files}
        given |= {"--parents": parents, "--stream": stream or None, "--walltime": walltime or None}
        if extra := [name for name, value in given.items() if value is not None]:
            raise typer.BadParameter("a scenario says this itself", param_hint=", ".join(extra))
        found = _scenario(source, platform, datasets, workloads, origin or [], seed)
        table, told = found.jobs, found.notes
        asked = {"platform": found.platform, "work": found.work}
    asked |= {
        "broker": cast("Broker | None", broker),  # simulate checks it
        "seed": seed,
        "faults": _faults(failures, failure_rate, retries, outages),
        "limit": limit,
    }
    if placement is None:
        result = gridtwin.simulate(table, policy=policy, **asked)
    else:
        from gridtwin.policy.placing import simulate_with_placement

        every = 3600.0 * placement_every
        placed = simulate_with_placement(table, placement, every=every, queueing=policy, **asked)
        placed.save(output)
        result = placed.result
        told += tuple(f"{name}: {value}" for name, value in placed.figures.items())
    result = replace(result, notes=(*told, *result.notes))
    result.save(output, formats=chosen)
    _print(result, f"{source} under {result.policy}", source, output, as_json)
    if report:
        from gridtwin.report.simulation import write_simulation_report

        page = write_simulation_report(output)
        if not as_json:
            typer.echo(f"report: {page}")


def _scenario(
    source: Path,
    platform: Path | None,
    datasets: Path | None,
    workloads: Path | None,
    origin: list[str],
    seed: int,
) -> "Scenario":
    """Read a scenario; say which of its jobs could not be kept."""
    from gridtwin.sim.formats.scenario import load

    found = load(
        source,
        platform=platform,
        datasets=datasets,
        workloads=workloads,
        origin=origin,
        seed=seed,
    )
    for reason, count in found.jobs.provenance.dropped.items():
        say(f"{source}: {count} jobs not simulated: {reason}")
    return found


def _print(result: "Result", title: str, jobs: Path, output: Path, as_json: bool) -> None:
    """Tell what became of the jobs."""
    summary = result.summary()
    if as_json:
        more = {
            "rejections": result.rejected,
            "outcomes": result.outcomes,
            "kernel": result.kernel,
            "level": result.level,
            "complete": result.complete,
            "notes": result.notes,
        }
        print_json({**summary, **more, "output": str(output)})
        return
    for reason, count in result.rejected.items():
        say(f"{jobs}: {count} jobs not simulated: {reason}")
    for note in result.notes:
        say(f"note: {note}")
    print_table(title, ["", "value"], list(summary.items()))
    if result.kernel == "grid":
        print_table("outcomes", ["outcome", "jobs"], list(result.outcomes.items()))
    typer.echo(f"jobs, timeline and summary written to {output}")


def _faults(
    failures: Path | None, rate: float | None, retries: int | None, outages: Path | None
) -> "Faults | None":
    """Return what goes wrong; None if nothing is said of it."""
    if failures is None and rate is None and retries is None and outages is None:
        return None
    from gridtwin.sim import failures as failure_file
    from gridtwin.sim import outages as calendar
    from gridtwin.sim.faults import NO_FAULTS

    faults = NO_FAULTS if failures is None else failure_file.load(failures)
    if rate is not None:
        faults = replace(faults, chance=rate)
    if retries is not None:
        faults = replace(faults, attempts=retries + 1)
    if outages is not None:
        faults = replace(faults, outages=calendar.load(outages))
    return faults


def _frame(path: Path | None) -> "pl.DataFrame | None":
    if path is None:
        return None
    import polars as pl

    from gridtwin.core.errors import FormatError

    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FormatError(f"{path} is no readable Parquet file: {error}") from error
