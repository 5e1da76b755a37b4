"""``gridtwin demo``: the whole loop on the embedded example or on a real trace."""

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
    """Read, learn, generate, judge, simulate and report, in one go."""
    if data is None:
        from gridtwin.trace import examples

        say(f"no --data: using the embedded example {example!r}, a synthetic trace")
        if example == "panda":
            jobs = examples.load("panda", days=18, scale=0.1, seed=seed)
        else:
            jobs = examples.load("lublin", seed=seed)
    else:
        jobs = read(data)
    name = f"the example {example!r}" if data is None else data.name
    from gridtwin.report import write_report
    from gridtwin.study.loop import run_loop

    loop = run_loop(jobs, output, cores=cores, samples=samples, seed=seed)
    page = write_report(
        output,
        title=f"The trace model against {name}",
        real=loop.real,
        synthetic=loop.samples,
        evaluation=loop.evaluation,
        simulations=loop.simulations,
        notes=() if data else ("The example is itself synthetic: 'real' stands for it here.",),
        provenance={"command": "gridtwin demo", "model": "trace", "seed": str(seed)},
    )
    if as_json:
        print_json({**loop.headline, "report": str(page)})
        return
    print_table("the trace model against the trace", ["", "value"], list(loop.headline.items()))
    typer.echo(f"report: {page}")
