"""``gridtwin evaluate``: score a synthetic trace against the real one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridtwin.cli.console import (
    Cores,
    Json,
    Seed,
    WhereOption,
    Workers,
    executor,
    print_json,
    print_table,
    read,
)

if TYPE_CHECKING:
    from gridtwin.metrics import Evaluation
    from gridtwin.metrics.base import Group

Also = Annotated[
    list[str] | None,
    typer.Option(help="A group of metrics that is not in the default: utility or paper."),
]

_BEST = {"min": "0", "half": "0.5", "one": "1", "heldout": "as held-out", "weeks": "as real weeks"}


def command(
    train: Annotated[Path, typer.Option(help="The real trace that the model was fitted on.")],
    synthetic: Annotated[
        list[Path], typer.Option(help="A synthetic trace; repeat it for several samples.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for the scores.")
    ],
    holdout: Annotated[
        Path | None, typer.Option(help="Real jobs kept from the model, as the reference.")
    ] = None,
    cores: Cores = None,
    also: Also = None,
    by_column: Annotated[
        bool, typer.Option("--by-column", help="Print the scores of each column, too.")
    ] = False,
    search: Annotated[
        int, typer.Option(min=0, help="Rows whose nearest neighbours are searched for; 0: all.")
    ] = 4000,
    workers: Workers = None,
    where: WhereOption = None,
    shadow: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="The model that made the trace: adds the attack by shadow models, eight fits.",
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score synthetic traces against the real one, each score beside its reference rows.

    The search for nearest neighbours goes in tasks, of 50,000 rows each.
    """
    import gridtwin
    from gridtwin.cli.benchmark import parse_model

    attacked = None if shadow is None else parse_model(shadow)
    evaluation = gridtwin.evaluate(
        train=read(train),
        synthetic=[read(path) for path in synthetic],
        holdout=None if holdout is None else read(holdout),
        cores=cores,
        seed=seed,
        groups=chosen_groups(also),
        search=search or None,
        executor=executor(where, workers),
        shadow=None if attacked is None else attacked.generate,
    )
    evaluation.save(output)
    if as_json:
        print_json(evaluation.to_json())
    else:
        print_evaluation(evaluation)
        if by_column:
            print_columns(evaluation)
        typer.echo(f"scores and definitions written to {output}")


def chosen_groups(also: list[str] | None) -> "tuple[Group, ...]":
    """Return the default groups of metrics and these; `UnknownNameError` for no such group."""
    from gridtwin.core.errors import UnknownNameError
    from gridtwin.metrics.base import DEFAULT_GROUPS, GROUPS

    for name in also or ():
        if name not in GROUPS:
            raise UnknownNameError("group of metrics", name, GROUPS)
    return tuple(g for g in GROUPS if g in DEFAULT_GROUPS or g in (also or ()))


def print_columns(evaluation: "Evaluation") -> None:
    """Print one row per column and metric, in order of the columns."""
    table = evaluation.columns().sort("column", maintain_order=True)
    titles = ["column", "metric", "synthetic", "held-out real"]
    print_table("by column", titles, table.rows())


def print_evaluation(evaluation: "Evaluation") -> None:
    """Print one row per metric, its score beside the references, and what follows."""
    print_table(
        "synthetic trace against real",
        ["metric", "best", "synthetic", "held-out real", "copy of train", "real weeks"],
        [
            (row.metric, _BEST[row.goal], row.synthetic, row.heldout, row.train_copy, row.weeks)
            for row in evaluation.rows
        ],
    )
    for sentence in evaluation.verdict:
        typer.echo(sentence)
