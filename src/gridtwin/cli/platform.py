"""``gridtwin platform``: build the platforms that jobs run on, and calendars of outages."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gridtwin.cli.console import Json, Seed, print_json, read, say

if TYPE_CHECKING:
    from gridtwin.sim import Platform

app = typer.Typer(no_args_is_help=True, help="Build platforms and calendars of their outages.")

Output = Annotated[
    Path, typer.Option("-o", "--output", dir_okay=False, help="File to write: .toml or .json.")
]


@app.command()
def build(
    output: Output,
    jobs: Annotated[
        Path | None, typer.Option(help="From job records: cores as used, speeds by CPU times.")
    ] = None,
    queues: Annotated[
        Path | None, typer.Option(help="From ATLAS's table of queues: GFLOPS and storages, JSON.")
    ] = None,
    links: Annotated[
        Path | None, typer.Option(help="With --queues: ATLAS's table of links, JSON.")
    ] = None,
    sites: Annotated[
        int | None,
        typer.Option(min=1, help="Size of the grid like WLCG that is built from neither."),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(help="Of a core, such as '3 Gf' or '12 HS23': of all, or of the mean one."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Build a platform from records, from ATLAS's tables, or a synthetic grid like WLCG."""
    if (jobs is not None) + (queues is not None) + (sites is not None) > 1:
        raise typer.BadParameter("give one of them", param_hint="--jobs, --queues, --sites")
    if links is not None and queues is None:
        raise typer.BadParameter("needs --queues", param_hint="--links")
    platform = _built(jobs, queues, links, sites, _flops(speed), seed)
    platform.save(output)
    _told(platform, (output,), as_json)


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A platform: gridtwin's TOML or JSON, SimGrid's XML, CGSim's config or sites.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="File to write.")],
    to: Annotated[
        str | None,
        typer.Option(
            help="toml, json, simgrid or cgsim; by default as the output's name ends: .toml, "
            ".json, .xml."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a platform in any simulator's form and write it in another."""
    from gridtwin.sim.formats import PlatformForm, load_platform, save_platform

    platform = load_platform(source)
    # save_platform checks the form
    files = save_platform(platform, output, cast("PlatformForm | None", to))
    _told(platform, files, as_json)


@app.command()
def outages(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="OSG's list of downtimes, CSV.")],
    output: Output,
    platform: Annotated[
        Path | None, typer.Option(help="Keep the outages of this platform's sites only.")
    ] = None,
    resources: Annotated[
        Path | None,
        typer.Option(help="OSG's list of resources: each stands for a share of its site's cores."),
    ] = None,
    longest: Annotated[str, typer.Option(help="Cut longer downtimes to this.")] = "30 d",
    as_json: Json = False,
) -> None:
    """Make a calendar of outages from OSG's downtimes of compute services."""
    from gridtwin.sim import outages
    from gridtwin.sim.formats import load_platform
    from gridtwin.sim.units import quantity

    names = None if platform is None else load_platform(platform).names
    found = outages.read_osg(
        source, sites=names, resources=resources, longest=quantity(longest, "time")
    )
    outages.save(output, found.outages)
    if as_json:
        told = {"outages": len(found.outages), "rows": found.rows, "shortened": found.shortened}
        print_json({**told, "skipped": found.skipped, "output": str(output)})
        return
    for reason, rows in found.skipped.items():
        say(f"{source}: {rows} of {found.rows} rows skipped: {reason}")
    say(f"{source}: {found.shortened} rows cut to {longest}")
    typer.echo(f"{len(found.outages):,} outages written to {output}")


def _built(
    jobs: Path | None,
    queues: Path | None,
    links: Path | None,
    sites: int | None,
    speed: float | None,
    seed: int,
) -> "Platform":
    from gridtwin.sim import build

    if jobs is not None:
        table = read(jobs)
        return (
            build.from_records(table) if speed is None else build.from_records(table, speed=speed)
        )
    if queues is not None:
        if speed is None:
            return build.from_atlas(queues, links)
        return build.from_atlas(queues, links, speed=speed)
    return build.wlcg(sites, speed=speed, seed=seed)


def _flops(speed: str | None) -> float | None:
    from gridtwin.core.errors import InputError
    from gridtwin.sim.units import quantity

    try:
        return None if speed is None else quantity(speed, "speed")
    except InputError as error:
        raise InputError(f"--speed: {error}") from error


def _told(platform: "Platform", files: tuple[Path, ...], as_json: bool) -> None:
    """Tell what was written."""
    written = ", ".join(map(str, files))
    if as_json:
        print_json({**_figures(platform), "notes": platform.notes, "output": written})
        return
    for note in platform.notes:
        say(f"note: {note}")
    told = ", ".join(f"{value:,} {name}" for name, value in _figures(platform).items())
    typer.echo(f"{told} written to {written}")


def _figures(platform: "Platform") -> dict[str, int]:
    return {
        "sites": len(platform.sites),
        "cores": int(platform.cores.sum()),
        "storages": sum(len(site.storages) for site in platform.sites),
        "links": len(platform.links),
    }
