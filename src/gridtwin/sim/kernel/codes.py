"""The numbers by which the kernel knows outcomes, phases, rules."""

from enum import IntEnum

__all__ = [
    "AT_ONCE",
    "LATER",
    "UNREACHABLE",
    "Access",
    "Backfilling",
    "Brokerage",
    "Draw",
    "Moves",
    "Order",
    "Ordering",
    "Outcome",
]


class Outcome(IntEnum):
    """How a job or an attempt ended; the names are what results say."""

    PENDING = 0
    FINISHED = 1
    FAILED = 2
    WALLTIME = 3
    OUTAGE = 4
    NO_SITE = 5
    NO_REPLICA = 6
    STORAGE_FULL = 7
    PARENT_FAILED = 8
    NEVER_READY = 9
    NEVER_STARTED = 10
    UNFINISHED = 11


class Access(IntEnum):
    """How a job reads its inputs: all before its payload, or block by block beside it."""

    COPY = 0
    STREAM = 1


class Ordering(IntEnum):
    """Who stands first in a site's queue."""

    FCFS = 0
    PRIORITY = 1
    FAIR_SHARE = 2
    CALLED = 3


class Backfilling(IntEnum):
    """Who may overtake the first."""

    NONE = 0
    EASY = 1
    CONSERVATIVE = 2


class Brokerage(IntEnum):
    """Which site a job goes to."""

    LEAST_LOADED = 0
    FEWEST_JOBS = 1
    ROUND_ROBIN = 2
    RANDOM = 3
    DATA_LOCAL = 4
    CALLED = 5


class Moves(IntEnum):
    """What a transfer was for."""

    STAGE_IN = 0
    STREAM = 1
    OUTPUT = 2


class Order(IntEnum):
    """What became of an order of placement; the names are what tables say."""

    DONE = 0
    BUSY = 1
    FULL = 2
    THERE = 3
    NO_WAY = 4
    ABSENT = 5
    IN_USE = 6
    LAST = 7


class Draw(IntEnum):
    """What an attempt's random numbers are for, each its own."""

    FAILS = 0
    CODE = 1
    MOMENT = 2
    ELSEWHERE = 3
    SITE = 4


LATER = -3
"""In place of a site: the broker answers when it is asked again."""
UNREACHABLE = -1
"""In place of a class: no route."""
AT_ONCE = -2
"""In place of a class: nothing that takes time lies between."""
