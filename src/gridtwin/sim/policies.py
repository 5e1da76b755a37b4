"""What a scheduling policy is, and where policies are found by name."""

from dataclasses import dataclass
from typing import Literal

from gridtwin.core.errors import InputError
from gridtwin.core.registry import Registry

__all__ = ["Backfill", "Order", "Policy", "policies", "register", "resolve"]

Order = Literal["fcfs", "priority", "fair_share"]
Backfill = Literal["none", "easy", "conservative"]


@dataclass(frozen=True)
class Policy:
    """How a site's queue is served; a declaration that the compiled kernel carries out."""

    name: str
    order: Order = "fcfs"
    """Who is first: ``fcfs``, by time of arrival; ``priority``, the highest; ``fair_share``, whose
    user had the least of the site lately."""
    backfill: Backfill = "none"
    """Who may overtake: nobody, by ``easy`` whoever does not delay the first in the queue, by
    ``conservative`` whoever delays nobody in it."""
    decides: Literal["start"] = "start"
    """What is decided: when a queued job starts."""


policies = Registry("policy", "gridtwin.policy", "gridtwin.policies")
"""All policies, by name; the modules of `gridtwin.policy` fill it."""


def register(policy: Policy) -> Policy:
    """Make a policy known by its name and return it; a name can be taken once."""
    policies.add(policy.name, policy)
    return policy


def resolve(policy: str | Policy) -> Policy:
    """Return the policy of a name; a policy is returned as it is."""
    found = policies.get(policy) if isinstance(policy, str) else policy
    if not isinstance(found, Policy):
        raise InputError(
            f"policy {policy!r} is a {type(found).__name__}; expected a gridtwin.sim.Policy, "
            "check the entry point that provides it"
        )
    return found
