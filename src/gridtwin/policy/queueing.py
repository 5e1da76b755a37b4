"""Who starts next at one site: first come, first served, with or without backfilling."""

from gridtwin.sim.policies import Policy, register

__all__ = ["EASY", "FCFS"]

FCFS = register(Policy("fcfs"))
"""First come, first served: nobody overtakes."""

EASY = register(Policy("easy", backfill="easy"))
"""FCFS with EASY backfilling (Lifka, JSSPP 1995): a job overtakes if the first in the queue can
still start when it would have by the running jobs' requested times."""
