"""Who starts next at one site: by arrival, priority or fair share, with or without backfilling."""

from gridtwin.sim.policies import Policy, register

__all__ = ["CONSERVATIVE", "EASY", "FAIR_SHARE", "FCFS", "PRIORITY"]

FCFS = register(Policy("fcfs"))
"""First come, first served: nobody overtakes."""

EASY = register(Policy("easy", backfill="easy"))
"""FCFS with EASY backfilling (Lifka, JSSPP 1995): a job overtakes if the first in the queue can
still start when it would have by the running jobs' requested times."""

PRIORITY = register(Policy("priority", order="priority"))
"""The highest priority first, then by arrival; nobody overtakes."""

FAIR_SHARE = register(Policy("fair_share", order="fair_share"))
"""The user first who used the least of the site lately: core seconds, which count half after a
while (`gridtwin.sim.assemble.Rules.half_life`); nobody overtakes."""

CONSERVATIVE = register(Policy("conservative", backfill="conservative"))
"""FCFS with conservative backfilling (Feitelson and Weil, IPPS 1998): a job overtakes if
nobody before it in the queue starts later than it would have by the requested times."""
