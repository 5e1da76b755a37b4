"""Learn a policy by any of the methods, with their usual settings; return what can be saved."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl import search
from gridtwin.policy.rl.saved import Learnt
from gridtwin.policy.rl.windows import CALM, reference
from gridtwin.sim.policies import Backfill

__all__ = ["METHODS", "NETS", "Method", "Net", "learn"]

Method = Literal["cem", "es", "ppo", "clone"]
Net = Literal["kernel", "set"]
METHODS: tuple[Method, ...] = get_args(Method)
NETS: tuple[Net, ...] = get_args(Net)
TEACHERS = ("sjf", "saf", "f2")
"""Who is recorded to clone."""

STEPS: dict[Method, int] = {
    "cem": 20_000_000,
    "es": 20_000_000,
    "ppo": 500_000,
    "clone": 50_000,
}
"""Decisions, unless told otherwise."""


def learn(
    stream: Stream,
    method: Method = "cem",
    *,
    backfill: Backfill = "none",
    objective: str = "bsld",
    steps: int | None = None,
    net: Net = "kernel",
    seed: int = 0,
    folder: Path | str | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> Learnt:
    """Learn who is next on a trace.

    Parameters
    ----------
    method
        ``cem``: a linear priority, without gradients; ``es``: one with a net of 16 and 8 units;
        ``ppo``: a net by policy gradients; ``clone``: a net from decisions recorded from
        `TEACHERS`, then tuned towards the better ones.
    objective
        What is made small: ``bsld`` or ``wait``; with ppo any of
        `gridtwin.policy.rl.batched.Objective`.
    steps
        Decisions to learn from, by default those of `STEPS`.
    net
        Of ppo and clone.
    folder
        Where the state is kept; a training of the same kind goes on from what is there.
    """
    if method not in METHODS or net not in NETS:
        raise InputError(
            f"method {method!r}, net {net!r}; expected one of {', '.join(METHODS)}, and of "
            f"{', '.join(NETS)}"
        )
    if objective not in get_args(search.Objective) and method != "ppo":
        raise InputError(f"{method} makes bsld or wait small, not {objective}; take ppo")
    if method == "clone" and objective != "bsld":
        raise InputError("clone takes the better of bsld; leave the objective out")
    many = STEPS[method] if steps is None else steps
    if many < 1:
        raise InputError(f"{many} steps; expected 1 or more")
    told: dict[str, Any] = {
        "method": method,
        "objective": objective,
        "backfill": backfill,
        "seed": seed,
        "jobs": len(stream),
        "cores": stream.cores,
    }
    if method in ("cem", "es"):
        plan = search.Plan(
            method=method,
            hidden=(16, 8) if method == "es" else (),
            backfill=backfill,
            objective=cast("search.Objective", objective),
            foresight=True,
            seed=seed,
        )
        plan = search.longer(replace(plan, length=min(plan.length, len(stream))), many)
        found = search.search(stream, plan, folder=folder, progress=progress)
        told |= {"steps": found.steps, "begun": found.begun._asdict(), "gain": found.gain}
        told["plan"] = asdict(plan)
        return Learnt("priority", found.arrays, plan.sizes, told)
    return _with_torch(stream, method, backfill, objective, many, net, seed, folder, progress, told)


def _with_torch(
    stream: Stream,
    method: Method,
    backfill: Backfill,
    objective: str,
    steps: int,
    net: Net,
    seed: int,
    folder: Path | str | None,
    progress: Callable[[str], None],
    told: dict[str, Any],
) -> Learnt:
    from gridtwin.policy.rl import clone, ppo
    from gridtwin.policy.rl.batched import Objective
    from gridtwin.policy.rl.nets import Kernel, as_priority

    if method == "ppo":
        plan = ppo.Plan(net, backfill, cast("Objective", objective), steps, seed=seed)
        learner = ppo.train(stream, plan, folder=folder, progress=progress)
        made, told["steps"], told["plan"] = learner.net, learner.steps, asdict(plan)
    else:
        length = min(256, len(stream))
        first = np.random.default_rng(seed).integers(0, len(stream) - length + 1, 512)
        busy = first[reference(stream, first, length, backfill) > CALM]
        count = max(1, steps // (length * len(TEACHERS)))
        of = clone.record(stream, TEACHERS, busy[:count], length=length, backfill=backfill)
        copying = clone.Plan(net, tuning=4, seed=seed)
        made, losses = clone.clone(of, copying, folder=folder, progress=progress)
        told |= {"steps": len(of.counts), "plan": asdict(copying), "losses": losses}
    if isinstance(made, Kernel):
        sizes, weights = as_priority(made)
        return Learnt("priority", {"weights": weights}, sizes, told)
    arrays = {name: p.detach().numpy() for name, p in made.named_parameters()}
    return Learnt("set", arrays, told=told)
