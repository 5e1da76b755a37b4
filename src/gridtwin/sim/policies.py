"""What a scheduling policy is, and where policies are found by name."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.registry import Registry

__all__ = [
    "Backfill",
    "Order",
    "Policy",
    "ScoreOf",
    "policies",
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
