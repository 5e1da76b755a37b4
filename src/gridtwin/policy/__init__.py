"""Scheduling policies, by name."""

from gridtwin.sim.policies import Policy, policies, resolve

__all__ = ["get", "names"]


def get(name: str) -> Policy:
    """Return the policy of that name, or raise `UnknownNameError` with the nearest name."""
    return resolve(name)


def names() -> list[str]:
    """All names, sorted."""
    return policies.names()
