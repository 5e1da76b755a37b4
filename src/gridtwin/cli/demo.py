"""``gridtwin demo``: the whole dynamic model on the embedded example or on a real trace."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from gridtwin.cli.console import Cores, Json, Seed, print_json, print_table, read, say


def command(
    data: Annotated[
        Path | None, typer.Option(help="Job records; by default an embedded synthetic example.")
    ] = None,
    example: Annotated[
        Literal["panda", "lublin"],
        typer.Option(help="Without --data: a grid like PanDA, or one parallel machine."),
    ] = "panda",
    cores: Cores = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for all results.")
    ] = Path("runs/demo"),
    samples: Annotated[int, typer.Option(min=1, help="Synthetic traces to draw.")] = 20,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Analyse, learn, judge, simulate policies and what-ifs, and report, in one go."""
    grid = data is None and example == "panda"
    if data is None:
        from gridtwin.trace import examples

        say(f"no --data: using the embedded example {example!r}, a synthetic trace")
        options = {"days": 18, "scale": 0.15} if grid else {}
        jobs = examples.load(example, seed=seed, **options)
    else:
        jobs = read(data)
    from gridtwin.report.demo import write_demo_report
    from gridtwin.study.demo import run_demo

    demo = run_demo(jobs, output, grid=grid, cores=cores, samples=samples, seed=seed)
    page = write_demo_report(
        demo,
        title=f"the example {example!r}" if data is None else data.name,
        synthetic=data is None,
        provenance={"Command": "gridtwin demo", "Seed": str(seed)},
    )
    headline = demo.loop.headline
    if as_json:
        print_json({**headline, "report": str(page)})
        return
    print_table("the trace model against the trace", ["", "value"], list(headline.items()))
    typer.echo(f"report: {page}")
