"""What a scheduling policy is, and where policies are found by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.registry import Registry
from gridtwin.sim.kernel.codes import Ordering
from gridtwin.sim.kernel.state import WINDOW
from gridtwin.sim.workload import Workload

__all__ = [
    "ORDERING",
    "Backfill",
    "Chooser",
    "Order",
    "Policy",
    "ScoreOf",
    "at_sites",
    "policies",
    "priorities",
    "register",
    "register_family",
    "resolve",
]

Order = Literal["fcfs", "priority", "fair_share", "scored", "called"]
Backfill = Literal["none", "easy", "conservative"]
Chooser = Callable[..., Any]
"""Who is next: see `gridtwin.sim.waiting.namer`."""
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
    user had the least of the site lately; ``scored``, the lowest `score`; ``called``, whom
    `choose` names at each instant."""
    backfill: Backfill = "none"
    """Who may overtake: nobody, by ``easy`` whoever does not delay the first in the queue, by
    ``conservative`` whoever delays nobody in it."""
    decides: Literal["start"] = "start"
    """What is decided: when a queued job starts."""
    score: ScoreOf | None = field(default=None, compare=False)
    """What a job of order ``scored`` is worth; it stays as it is at submission."""
    choose: Chooser | None = field(default=None, compare=False)
    """Who is next by order ``called``: see `gridtwin.sim.waiting.namer`."""
    window: int = 128
    """How many waiting jobs `choose` is shown, the first that came; up to 4,096. Those behind it
    can only overtake."""
    commits: bool = False
    """Whether whoever `choose` named stays first until it starts, whatever comes meanwhile; it is
    named as soon as it can be, and jobs overtake it in order of arrival."""

    memory: Callable[[Any, int], Any] | None = field(default=None, compare=False)
    """``memory(state, site)``: called when a run begins, what a compiled `choose` keeps at a site:
    a numpy array, whose address that finds as ``here.memory``."""

    def __post_init__(self) -> None:
        if (self.choose is None) == (self.order == "called"):
            raise InputError(
                f"policy {self.name!r}: order 'called' and a function `choose` go together; "
                "give both or neither"
            )
        if not 1 <= self.window <= WINDOW:
            raise InputError(f"window: expected 1 to {WINDOW} waiting jobs, got {self.window}")


policies = Registry("policy", "gridtwin.policy", "gridtwin.policies")
"""All policies, by name; the modules of `gridtwin.policy` fill it."""

ORDERING: dict[Order, Ordering] = {
    "fcfs": Ordering.FCFS,
    "priority": Ordering.PRIORITY,
    "fair_share": Ordering.FAIR_SHARE,
    "scored": Ordering.PRIORITY,  # the lowest score is the highest priority
    "called": Ordering.CALLED,
}
"""What an order is to the grid kernel."""


_families: dict[str, Callable[[str], Policy]] = {}


def register_family(prefix: str, make: Callable[[str], Policy]) -> None:
    """Let ``prefix:REST`` name the policy that `make` returns for this whole name."""
    _families[prefix] = make


def register(policy: Policy) -> Policy:
    """Make a policy known by its name and return it; a name can be taken once."""
    policies.add(policy.name, policy)
    return policy


def resolve(policy: str | Policy | Chooser) -> Policy:
    """Return the policy of a name, or one that calls a function; a policy is returned as it is.

    ``name+easy`` and ``name+conservative`` are the policy of that name with backfilling.
    """
    found: object = _named(policy) if isinstance(policy, str) else policy
    if not isinstance(found, Policy) and not isinstance(policy, str) and callable(policy):
        found = Policy(getattr(policy, "__name__", "called"), order="called", choose=policy)
    if not isinstance(found, Policy):
        raise InputError(
            f"policy {policy!r} is a {type(found).__name__}; expected a gridtwin.sim.Policy, "
            "check the entry point that provides it"
        )
    return found


def _named(name: str) -> object:
    prefix, colon, _ = name.partition(":")
    if colon and policies.names() and prefix in _families:  # the names' modules tell the families
        return _families[prefix](name)
    order, plus, backfill = name.partition("+")
    if not plus or name in policies.names():
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
    policy: str | Policy | Chooser | Mapping[str, str | Policy | Chooser], sites: Sequence[str]
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
