"""``gridtwin calibrate``: fit a platform's sites to their records, judge them on later records."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridtwin.cli.console import Json, Seed, print_json, print_table, read, say

if TYPE_CHECKING:
    from gridtwin.sim.calibrate import Calibration


def command(
    jobs: Annotated[Path, typer.Option(help="Job records, any format.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for the calibration.")
    ],
    platform: Annotated[
        Path | None, typer.Option(help="Sites, in any form; by default those of the records.")
    ] = None,
    free: Annotated[
        str | None, typer.Option(help="What to fit, as in cores,dispatch; by default all.")
    ] = None,
    train: Annotated[float, typer.Option(help="Share of the time to fit on.")] = 0.7,
    trials: Annotated[int, typer.Option(min=1, help="Settings tried at each site.")] = 400,
    profiles: Annotated[
        int, typer.Option(min=0, help="Trials for each point of a profile; 0: no profiles.")
    ] = 10,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit cores, delays, queues… to the first part of the records; judge them on the rest."""
    from gridtwin.report.calibration import write_calibration_report
    from gridtwin.sim.calibrate import calibrate
    from gridtwin.sim.formats import load_platform

    found = calibrate(
        read(jobs),
        None if platform is None else load_platform(platform),
        free=None if free is None else [name.strip() for name in free.split(",")],
        train=train,
        trials=trials,
        profiles=profiles,
        seed=seed,
        progress=lambda site: say(f"fitting {site}"),
    )
    found.save(output)
    write_calibration_report(found, output / "report.html", source=str(jobs))
    if as_json:
        print_json({**found.to_dict(), "output": str(output)})
        return
    for reason, count in found.left_out.items():
        say(f"{jobs}: {count} jobs left out: {reason}")
    _print(found, jobs)
    typer.echo(f"calibration.json, platform.toml and report.html written to {output}")


def _print(found: "Calibration", jobs: Path) -> None:
    """Print what was fitted, and how it did on the later jobs."""
    for fit in found.sites:
        if fit.note:
            say(f"{fit.site}: {fit.note}")
    fitted = found.settings().rows()
    if fitted:
        print_table(f"{jobs}: fitted", ["site", "parameter", "value", "compatible", "told"], fitted)
    rows = [
        (
            s.site,
            s.quantity,
            s.within,
            s.calibrated,
            s.interval,
            s.default,
            s.median,
            s.training,
            s.minus_training,
        )
        for s in found.scores
    ]
    print_table(
        f"{jobs}: Wasserstein distance to the later jobs, 95 % intervals",
        ["site", "of", "within", "calibrated", "", "default", "median", "earlier", "- earlier"],
        rows,
    )
