"""The batch machine's tables: a trace's jobs, the rule, and the state of many sequences.

A sequence is a window of consecutive jobs of the trace on an empty machine; its jobs are numbered
from 0 in the order of the trace. Row ``b`` of every table belongs to sequence ``b``.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError

__all__ = [
    "AS_LEFT",
    "BACKFILLS",
    "BY_NUMBER",
    "BY_SUBMIT",
    "CONSERVATIVE",
    "EASY",
    "FAIR",
    "MOVING",
    "NO_BACKFILL",
    "STATIC",
    "Jobs",
    "Rule",
    "State",
    "blank",
]

Table = Any  # a record array; numpy's types do not know fields

NO_BACKFILL, EASY, CONSERVATIVE = range(3)
BACKFILLS = {"none": NO_BACKFILL, "easy": EASY, "conservative": CONSERVATIVE}
STATIC, MOVING, FAIR = range(3)
"""Kinds of scores: known at submission, changing with time, or the user's use of the machine."""
AS_LEFT, BY_SUBMIT, BY_NUMBER = range(3)
"""Order among equal scores: as the last sorting left it, by submit time and then as left, by submit
time and then number."""

_LARGEST = 4_000_000_000

ENV = np.dtype(
    [
        ("first", np.int64),  # the sequence's first job in the trace
        ("count", np.int64),  # its jobs
        ("now", np.float64),
        ("free", np.int64),
        ("arrived", np.int64),  # jobs 0 to arrived - 1 have come
        ("queued", np.int64),
        ("running", np.int64),
        ("decisions", np.int64),
        ("lined", np.int64),  # jobs before this one were sorted by score if they wait
        ("inline", np.int64),  # entries of `line`
        ("timed", np.int64),  # sorted by submit time since it was last sorted by score
        ("placed", np.int64),  # `place` tells ties apart at present
        ("blocked", np.int64),  # head when backfilling last looked, -1: look at all again
        ("seen", np.int64),  # jobs that had come then
    ]
)


class Jobs(NamedTuple):
    """The trace, arrays of one entry per job."""

    submit: NDArray[np.float64]
    """s; never falling, except in the order of job numbers of ``compat="rlscheduler"``."""
    need: NDArray[np.int64]
    """What the job takes of the machine: cores, or nodes where the machine gives whole nodes."""
    width: NDArray[np.float64]
    """Processors that it asks for; scores see these."""
    run: NDArray[np.float64]
    request: NDArray[np.float64]
    user: NDArray[np.int64]
    score: NDArray[np.float64]
    """The score, if it is known at submission; lower is first."""


class Rule(NamedTuple):
    """Which machine it is and how it is served."""

    cores: int
    """Size of the machine, in the unit of `Jobs.need`."""
    compat: int
    """1: the semantics of RLScheduler; 0: clean ones."""
    commit: int
    """1: whoever is first blocks until it starts, whatever comes meanwhile."""
    backfill: int
    kind: int
    ties: int
    steady: int
    """1: submit times never fall."""
    fifo: int
    """1: the queue is kept by submit time, too."""
    address: int
    """Of the compiled score of kind `MOVING`."""
    origin: float
    """s, from where scores count submit times."""
    half_life: float
    """s after which use counts half, for `FAIR`."""


class State(NamedTuple):
    """Where the sequences stand. B sequences, L jobs at most, R that can run at a time."""

    env: Table
    """(B,), records of `ENV`."""
    start: NDArray[np.float64]
    """(B, L), s; NaN before the job starts."""
    fifo: NDArray[np.int32]
    """(B, L), the waiting jobs by submit time; `queued` entries."""
    line: NDArray[np.int32]
    """(B, L), the waiting jobs by score, but those that came since it was last sorted."""
    score: NDArray[np.float64]
    """(B, L)."""
    place: NDArray[np.int32]
    """(B, L), places in `fifo`, while they tell ties apart."""
    ends: NDArray[np.float64]
    """(B, R), when running jobs end, the next one last; `running` entries."""
    who: NDArray[np.int32]
    """(B, R), which job that is."""
    due: NDArray[np.float64]
    """(B, R), ends by the requested times, rising."""
    held: NDArray[np.int64]
    """(B, R), what those jobs hold."""
    profile: NDArray[np.float64]
    """(B, P, 2), times and what is free from then on, for conservative backfilling."""
    usage: NDArray[np.float64]
    """(B, users, 2), core seconds and when they were counted, for `FAIR`."""


def blank(jobs: Jobs, rule: Rule, sequences: int, length: int) -> State:
    """Return tables for sequences of up to `length` jobs; `machine.clear` makes them ready.

    Memory: 28 bytes a job and sequence and 28 for each job that can run at a time; with
    conservative backfilling 32 more a job.
    """
    idle = len(jobs.need) > 0 and jobs.need.min() < 1  # any number of such jobs can run
    most = (length if idle else min(length, rule.cores)) + 1
    times = length + most + 2 if rule.backfill == CONSERVATIVE and not rule.compat else 0
    users = int(jobs.user.max(initial=0)) + 1 if rule.kind == FAIR else 0
    needed = sequences * (28 * length + 28 * most + 16 * times + 16 * users)
    if needed > _LARGEST:
        raise InputError(
            f"{sequences} sequences of {length} jobs at once need {needed / 1e9:.1f} GB; "
            "take fewer at a time"
        )
    return State(
        env=np.zeros(sequences, ENV).view(np.recarray),
        start=np.full((sequences, length), np.nan),
        fifo=np.zeros((sequences, length), np.int32),
        line=np.zeros((sequences, length), np.int32),
        score=np.zeros((sequences, length)),
        place=np.zeros((sequences, length), np.int32),
        ends=np.zeros((sequences, most)),
        who=np.zeros((sequences, most), np.int32),
        due=np.zeros((sequences, most)),
        held=np.zeros((sequences, most), np.int64),
        profile=np.zeros((sequences, times, 2)),
        usage=np.zeros((sequences, users, 2)),
    )
