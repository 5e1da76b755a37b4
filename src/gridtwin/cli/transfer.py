"""``gridtwin transfer``: what it costs to train a scheduler on generated jobs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from gridtwin.cli.benchmark import parse_model
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
    say,
)

if TYPE_CHECKING:
    from gridtwin.policy.rl.learn import Method
    from gridtwin.sim.policies import Backfill


def command(
    jobs: Annotated[
        Path, typer.Argument(metavar="JOBS", help="Job records, any format; one machine's.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", file_okay=False, help="Folder; one that is there is gone on with."
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:KEY=VALUE,...]",
            help="A model; repeat it for several. By default trace, smote, gaussian_copula, tvae.",
        ),
    ] = None,
    matched: Annotated[
        bool, typer.Option(help="Train on row models' jobs at the real load, too.")
    ] = True,
    backfill: Annotated[
        list[str] | None,
        typer.Option(help="none, easy or conservative; repeat it. By default none and easy."),
    ] = None,
    method: Annotated[str, typer.Option(help="cem, es, ppo or clone.")] = "cem",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Decisions of a training; by default the method's.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings on each source.")] = 8,
    share: Annotated[
        float, typer.Option("--train", help="Share of the jobs, the first, to train on.")
    ] = 0.6,
    sequences: Annotated[int, typer.Option(min=1, help="Of later jobs, to test on.")] = 128,
    length: Annotated[int, typer.Option(min=1, help="Jobs of a sequence.")] = 512,
    baseline: Annotated[str, typer.Option(help="Heuristic that scores are relative to.")] = "sjf",
    cores: Cores = None,
    seed: Seed = 0,
    where: WhereOption = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Train schedulers on real and on generated jobs; test them on later real ones."""
    from gridtwin.report import write_transfer_report
    from gridtwin.report.transfer import sentences
    from gridtwin.study.transfer import MODELS, Plan, transfer

    plan = Plan(
        models=tuple(map(parse_model, model)) if model else MODELS,
        method=cast("Method", method),
        backfills=cast("tuple[Backfill, ...]", tuple(backfill or ("none", "easy"))),
        seeds=seeds,
        share=share,
        sequences=sequences,
        length=length,
        steps=steps,
        cores=cores,
        baseline=baseline,
        matched=matched,
        seed=seed,
    )
    told = transfer(read(jobs), output, plan, executor=executor(where, workers), progress=say)
    for warning in told["warnings"]:
        say(f"warning: {warning}")
    page = write_transfer_report(told, output / "report.html")
    if as_json:
        print_json(told | {"verdict": sentences(told)})
        return
    for setting in told["settings"]:
        _print(told, setting)
    for text in sentences(told):
        typer.echo(text)
    say(f"report: {page}")


def _print(told: dict[str, Any], setting: dict[str, Any]) -> None:
    def within(value: dict[str, float | None] | None, form: str = "+.3f") -> str:
        if value is None:
            return "says nothing"
        mean, low, high = ("" if v is None else format(v, form) for v in value.values())
        return f"{mean} ({low} to {high})" if low else mean

    references = list(setting["sources"][0]["kept"])
    heads = ["trained on", "load", "queueing", f"log ratio to {setting['baseline']}", "cost"]
    heads += [f"of the gain over {name}" for name in references]
    print_table(
        f"{told['source']}, backfilling {setting['backfill']}: tested on "
        f"{told['plan']['sequences']} sequences of {told['plan']['length']} later jobs",
        heads,
        [
            [
                *(row["source"], row["load"], row["queueing"], within(row["score"])),
                "" if row["source"] == "real" else within(row["cost"], "+.1%"),
                *(within(row["kept"][name]["share"], ".1%") for name in references),
            ]
            for row in setting["sources"]
        ],
    )
