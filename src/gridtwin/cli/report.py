"""``gridtwin report``: a page of a folder of results, or of synthetic traces beside real ones."""

from pathlib import Path
from typing import Annotated

import typer

from gridtwin.cli.console import Cores, Json, Seed, print_json, read


def command(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            exists=True,
            file_okay=False,
            help="A folder of 'gridtwin study run', finished or not, or of 'gridtwin simulate'.",
        ),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="The real trace that the model was fitted on.")
    ] = None,
    synthetic: Annotated[
        list[Path] | None, typer.Option(help="A synthetic trace; repeat it for several samples.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", file_okay=False, help="Folder for the report."),
    ] = None,
    holdout: Annotated[
        Path | None, typer.Option(help="Real jobs kept from the model, as the reference.")
    ] = None,
    cores: Cores = None,
    policy: Annotated[str, typer.Option(help="How the simulation starts jobs.")] = "easy",
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "",
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write one HTML page: of a folder of results, or of synthetic traces beside the real one.

    With RUN alone the page is RUN/report.html. With --train and --synthetic both traces are scored
    and simulated first.
    """
    if folder is not None:
        given = {"--train": train, "--synthetic": synthetic, "--holdout": holdout}
        if extra := [name for name, value in given.items() if value]:
            raise typer.BadParameter("give RUN or these, not both", param_hint=", ".join(extra))
        page = _of_folder(folder, output)
        print_json({"report": str(page)}) if as_json else typer.echo(f"report written to {page}")
        return
    if train is None or not synthetic or output is None:
        raise typer.BadParameter("give RUN, or all of these", param_hint="--train, --synthetic, -o")
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


def _of_folder(folder: Path, output: Path | None) -> Path:
    """Write the page of a study's or a simulation's folder."""
    from gridtwin.core.errors import FormatError
    from gridtwin.report import write_simulation_report, write_study_report

    path = (output or folder) / "report.html"
    if (folder / "spec.json").is_file():
        from gridtwin.study.folder import Folder

        return write_study_report(Folder.open(folder), path)
    if (folder / "summary.json").is_file():
        return write_simulation_report(folder, path)
    raise FormatError(
        f"{folder} has neither spec.json nor summary.json; expected a folder of 'gridtwin study "
        "run' or 'gridtwin simulate'"
    )
