"""``gridtwin train-policy``: learn who is next on one machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gridtwin.cli.console import Cores, Json, Seed, print_json, read, say

if TYPE_CHECKING:
    from gridtwin.policy.rl.learn import Method, Net
    from gridtwin.sim.policies import Backfill


def command(
    jobs: Annotated[
        Path, typer.Argument(metavar="JOBS", help="Job records, any format; one machine's.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", file_okay=False, help="Folder for the policy.")
    ],
    method: Annotated[
        str, typer.Option(help="cem, es (both without gradients), ppo or clone (both of nets).")
    ] = "cem",
    backfill: Annotated[str, typer.Option(help="none, easy or conservative.")] = "none",
    objective: Annotated[str, typer.Option(help="bsld or wait; with ppo others, too.")] = "bsld",
    net: Annotated[str, typer.Option(help="Of ppo and clone: kernel or set.")] = "kernel",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Decisions to learn from; by default the method's.")
    ] = None,
    first: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Learn on this share of the trace, its first.")
    ] = 1.0,
    cores: Cores = None,
    seed: Seed = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that is in the folder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Learn who is next on one machine, and save it: learnt:FOLDER, wherever policies are named."""
    from gridtwin.core.errors import InputError, UnknownNameError
    from gridtwin.policy.batch.stream import from_table
    from gridtwin.policy.rl.learn import METHODS, NETS, learn
    from gridtwin.policy.rl.saved import PREFIX, save
    from gridtwin.policy.rl.windows import span

    for kind, name, known in (
        ("method", method, METHODS),
        ("net", net, NETS),
        ("backfilling", backfill, ("none", "easy", "conservative")),
    ):
        if name not in known:
            raise UnknownNameError(kind, name, known)
    if (output / "state.safetensors").exists() and not resume:
        raise InputError(
            f"{output} holds a training already; go on with --resume, or choose another folder"
        )
    stream = from_table(read(jobs), cores=cores)
    for reason, count in stream.dropped.items():
        say(f"{jobs}: {count} jobs left out: {reason}")
    learnt = learn(
        span(stream, 0.0, first),
        cast("Method", method),
        backfill=cast("Backfill", backfill),
        objective=objective,
        steps=steps,
        net=cast("Net", net),
        seed=seed,
        folder=output,
        progress=say,
    )
    save(learnt, output)
    told = {"policy": f"{PREFIX}{output}", "form": learnt.form} | (learnt.told or {})
    if as_json:
        print_json(told)
    else:
        say(f"learnt from {told['steps']} decisions; compare it as {told['policy']}")
