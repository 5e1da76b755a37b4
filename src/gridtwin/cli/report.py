"""``gridtwin report``: evaluate, simulate and write one page about it."""

from pathlib import Path
from typing import Annotated

import typer

from gridtwin.cli.console import Cores, Json, Seed, print_json, read


def command(
    train: Annotated[Path, typer.Option(help="The real trace that the model was fitted on.")],
    synthetic: Annotated[
        list[Path], typer.Option(help="A synthetic trace; repeat it for several samples.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for the report.")
    ],
    holdout: Annotated[
        Path | None, typer.Option(help="Real jobs kept from the model, as the reference.")
    ] = None,
    cores: Cores = None,
    policy: Annotated[str, typer.Option(help="How the simulation starts jobs.")] = "easy",
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score and simulate synthetic traces beside the real one, and write an HTML page."""
    import gridtwin
    from gridtwin.report import write_report
    from gridtwin.study import side_by_side

    gridtwin.policy.get(policy)  # a wrong name is told before the long work
    real, samples = read(train), [read(path) for path in synthetic]
    held = None if holdout is None else read(holdout)
    evaluation = gridtwin.evaluate(real, samples, held, cores, seed=seed)
    evaluation.save(output)
    simulations = side_by_side(real, samples[0], cores=cores, policy=policy, seed=seed)
    page = write_report(
        output,
        title=title or f"{synthetic[0].name} against {train.name}",
        real=real,
        synthetic=samples,
        evaluation=evaluation,
        simulations=simulations,
        provenance={"real trace": str(train), "seed": str(seed), "policy": policy},
    )
    if as_json:
        print_json(
            {
                "report": str(page),
                "cores": simulations["real"].cores,
                "evaluation": evaluation.to_json(),
            }
        )
    else:
        typer.echo(f"report written to {page}")
