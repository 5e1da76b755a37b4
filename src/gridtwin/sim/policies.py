"""What a scheduling policy is, and where policies are found by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.registry import Registry
from gridtwin.sim.kernel.codes import Ordering
from gridtwin.sim.workload import Workload

__all__ = [
    "ORDERING",
    "Backfill",
    "Order",
    "Policy",
    "ScoreOf",
    "at_sites",
    "policies",
    "priorities",
    "refuse",
    "register",
    "resolve",
]

Order = Literal["fcfs", "priority", "fair_share", "scored"]
Backfill = Literal["none", "easy", "conservative"]
ScoreOf = Callable[
    [NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]
]
"""``score(request, cores, submit)``, arrays of one entry per job, times in s; lower is first."""


@dataclass(frozen=True)
class Policy:
    """How a site's queue is served; a declaration that the compiled kernel carries out."""

    name: str
    order: Order = "fcfs"
    """Who is first: ``fcfs``, by time of arrival; ``priority``, the highest; ``fair_share``, whose
    user had the least of the site lately; ``scored``, the lowest `score`."""
    backfill: Backfill = "none"
    """Who may overtake: nobody, by ``easy`` whoever does not delay the first in the queue, by
    ``conservative`` whoever delays nobody in it."""
    decides: Literal["start"] = "start"
    """What is decided: when a queued job starts."""
    score: ScoreOf | None = field(default=None, compare=False)
    """What a job of order ``scored`` is worth; it stays as it is at submission."""


policies = Registry("policy", "gridtwin.policy", "gridtwin.policies")
"""All policies, by name; the modules of `gridtwin.policy` fill it."""

_refused: dict[str, str] = {}

ORDERING: dict[Order, Ordering] = {
    "fcfs": Ordering.FCFS,
    "priority": Ordering.PRIORITY,
    "fair_share": Ordering.FAIR_SHARE,
    "scored": Ordering.PRIORITY,  # the lowest score is the highest priority
}
"""What an order is to the grid kernel."""


def register(policy: Policy) -> Policy:
    """Make a policy known by its name and return it; a name can be taken once."""
    policies.add(policy.name, policy)
    return policy


def refuse(name: str, reason: str) -> None:
    """Let `resolve` say why a policy of that name cannot be had."""
    _refused[name] = reason


def resolve(policy: str | Policy) -> Policy:
    """Return the policy of a name; a policy is returned as it is.

    ``name+easy`` and ``name+conservative`` are the policy of that name with backfilling.
    """
    found = _named(policy) if isinstance(policy, str) else policy
    if not isinstance(found, Policy):
        raise InputError(
            f"policy {policy!r} is a {type(found).__name__}; expected a gridtwin.sim.Policy, "
            "check the entry point that provides it"
        )
    return found


def _named(name: str) -> object:
    known = policies.names()  # which fills both tables
    order, plus, backfill = name.partition("+")
    if order in _refused and name not in known:
        raise InputError(_refused[order])
    if not plus or name in known:
        return policies.get(name)
    if backfill not in get_args(Backfill):
        raise InputError(
            f"policy {name!r}: expected {', '.join(get_args(Backfill))} behind the +, "
            f"not {backfill!r}"
        )
    found = resolve(order)
    if found.backfill not in ("none", backfill):
        raise InputError(f"policy {name!r}: {order} has {found.backfill} backfilling already")
    return replace(found, name=name, backfill=cast("Backfill", backfill))


def at_sites(
    policy: str | Policy | Mapping[str, str | Policy], sites: Sequence[str]
) -> tuple[Policy, ...]:
    """Return each site's policy; of a mapping by site, those not named have ``fcfs``."""
    if not isinstance(policy, Mapping):
        return (resolve(policy),) * len(sites)
    unknown = sorted(set(policy) - set(sites))
    if unknown:
        raise InputError(f"policy: there is no site {unknown[0]!r}; correct the name")
    return tuple(resolve(policy[site]) if site in policy else Policy("fcfs") for site in sites)


def priorities(policies: Sequence[Policy], work: Workload) -> NDArray[np.float64] | None:
    """Return the priority that each job has under the sites' policies; None: all alike."""
    scored = [one for one in policies if one.order == "scored"]
    if not scored:
        return work.priority
    score = scored[0].score
    if score is None:
        raise InputError(f"policy {scored[0].name!r} is of order 'scored' but has no score")
    mixed = any(one.score != score for one in scored)
    if mixed or any(one.order == "priority" for one in policies):
        raise InputError(
            "sites order their queues by different scores or priorities; a job has one of them: "
            "choose one such policy for all sites, or fcfs or fair_share for the others"
        )
    request = work.run if work.estimate is None else work.estimate
    request = np.where(np.isnan(request), work.run, request)
    return -score(request, work.cores.astype(np.float64), work.submit)
