"""Policies that were learnt, by name: ``learnt:FOLDER``, ``learnt:FOLDER+easy``."""

from gridtwin.sim.policies import Policy, register_family

__all__: list[str] = []


def _learnt(name: str) -> Policy:
    from gridtwin.policy.rl.served import policy

    return policy(name)


register_family("learnt", _learnt)
