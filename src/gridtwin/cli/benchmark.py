"""``gridtwin benchmark``: several models on several traces, judged alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridtwin.cli.console import Json, Seed, print_json, print_table, read
from gridtwin.cli.evaluate import Also, chosen_groups
from gridtwin.cli.train import parse_settings

if TYPE_CHECKING:
    from gridtwin.study.benchmark import Contender

SHOWN = (
    *("wd", "jsd", "diff_corr", "dcr", "diff_mlef", "c2st", "dcr_share", "membership"),
    *("interarrival", "load", "wait_easy", "fit_cpu_s", "sample_cpu_s", "peak_mib"),
)


def command(
    sources: Annotated[list[Path], typer.Argument(metavar="JOBS...", help="Traces, any format.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for the results.")
    ],
    model: Annotated[
        list[str],
        typer.Option(metavar="NAME[:KEY=VALUE,...]", help="A model; repeat it for several."),
    ],
    holdout: Annotated[float, typer.Option(help="Share of the jobs held out.")] = 0.3,
    rows: Annotated[int | None, typer.Option(min=20, help="Jobs of a trace, at most.")] = None,
    samples: Annotated[
        int, typer.Option(min=0, help="Samples for arrivals and queues; 0 leaves these out.")
    ] = 5,
    also: Also = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit several models to traces, judge all by the same metrics, and print one table."""
    from gridtwin.report.benchmark import write_benchmark_report
    from gridtwin.study.benchmark import benchmark

    result = benchmark(
        [parse_model(text) for text in model],
        {_stem(path): read(path) for path in sources},
        output,
        holdout=holdout,
        rows=rows,
        samples=samples,
        groups=chosen_groups(also),
        seed=seed,
    )
    made = {_stem(path): str(path) for path in sources} | {"Seed": str(seed)}
    made |= {"Held out": f"{holdout:g} of the jobs", "Samples": str(samples)}
    write_benchmark_report(result, output / "report.html", made=made)
    if as_json:
        print_json({"rows": result.table.to_dicts()})
        return
    for (name,), part in result.table.group_by("trace", maintain_order=True):
        shown = [column for column in SHOWN if column in part.columns]
        print_table(str(name), ["model", *shown], part.select("model", *shown).rows())
        for label, error in part.select("model", "error").drop_nulls().rows():
            typer.echo(f"{label} gave nothing: {error}")
    typer.echo(f"all scores, costs, traces and report.html written to {output}")


def parse_model(text: str) -> "Contender":
    """Return the model of ``name:key=value,key=value``; values as of ``train --set``."""
    import inspect

    from gridtwin import models
    from gridtwin.study.benchmark import Contender

    name, _, settings = text.partition(":")
    parameters = inspect.signature(models.get(name)).parameters.values()
    known = {p.name: p.default for p in parameters if p.name != "seed"}
    pairs = settings.split(",") if settings else []
    return Contender(name, parse_settings(pairs, name, known))


def _stem(path: Path) -> str:
    return path.name.split(".")[0]
