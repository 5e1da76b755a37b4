"""``gridtwin evaluate``: score a synthetic trace against the real one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridtwin.cli.console import Cores, Json, Seed, print_json, print_table, read

if TYPE_CHECKING:
    from gridtwin.metrics import Evaluation

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
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Score synthetic traces against the real one, each score beside its reference rows."""
    import gridtwin

    evaluation = gridtwin.evaluate(
        train=read(train),
        synthetic=[read(path) for path in synthetic],
        holdout=None if holdout is None else read(holdout),
        cores=cores,
        seed=seed,
    )
    evaluation.save(output)
    if as_json:
        print_json(evaluation.to_json())
    else:
        print_evaluation(evaluation)
        typer.echo(f"scores and definitions written to {output}")


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
