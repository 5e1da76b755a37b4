"""Many sequences of decisions at once, without gymnasium: what all environments are made of.

The window has W rows of 8 numbers, float32, within 0 to 1, one row for each job that may be chosen;
the rest is padding. Jobs stand by submit time. Where more wait than there are rows, two orders fill
the window in turns: by submit time and by request, in the compatible form by request and by width.
Of those that may overtake, the first by submit time are shown.

===  =======================================  ==================================================
no.  clean                                    ``compat="rlscheduler"``
===  =======================================  ==================================================
0    wait / (wait + 1 h)                      wait / 12 h
1    log(1 + request) / log(1 + 30 d)         request / longest run of the trace
2    share of the machine asked for           share of the machine asked for
3    wait / (wait + request)                  memory: not recorded, 1
4    share of the machine that is free        user / number of users; 1 if there is but one
5    1 if it fits now                         group: not recorded, 1
6    jobs that wait / (those + W)             program: not recorded, 1
7    1; in padding 0, as all of it            1 if it fits now, else 1e-5; in padding 0, 1, …, 1, 0
===  =======================================  ==================================================

When the decision is who overtakes, clean feature 6 is 1 for who is not expected to delay the head.
Compatible features are cut off at 1 - 1e-5 (Zhang et al., "RLScheduler", SC 2020).
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.run import Compat, Machines
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl.kernel import (
    ANEW,
    CHOOSE,
    FEATURES,
    LEAVE,
    OBJECTIVES,
    OVERTAKE,
    OVERTAKE_EASY,
    STEP,
    Look,
    Tables,
    step_all,
)
from gridtwin.sim.policies import Backfill

__all__ = ["Batched", "Objective", "Overtaking"]

Objective = Literal[
    "bsld", "wait", "turnaround", "utilization", "mean_user", "worst_user", "fairness"
]
Overtaking = Literal["fitting", "easy"]
"""Who may overtake the head: all that fit, or those that are not expected to delay it."""

_ALMOST = 1.0 - 1e-5
_MONTH = 30 * 86400.0


class Batched:
    """B sequences of L jobs, stepped in one compiled call that also writes what they show.

    Parameters
    ----------
    backfill
        How jobs overtake one that was chosen and does not fit yet; with `overtaking` they do as
        told.
    overtaking
        None: the decision is which job is next. Otherwise `policy` says that, and the decision is
        who overtakes it while it does not fit: row 0, nobody now, or one of the other rows.
    objective
        What a sequence is scored by. The reward is 0 until its last decision, then minus the score
        (plus for utilization and fairness, where more is better).
    same_step
        Whether a sequence that ends begins anew in the same call.

    Notes
    -----
    Memory: 36 W + 8 L bytes a sequence beside those of `gridtwin.policy.batch.state.blank`, and 64
    bytes a job of the stream.
    """

    def __init__(
        self,
        stream: Stream,
        sequences: int,
        length: int = 256,
        *,
        window: int = 128,
        objective: Objective = "bsld",
        backfill: Backfill = "none",
        overtaking: Overtaking | None = None,
        policy: str = "fcfs",
        compat: Compat | None = None,
        same_step: bool = False,
    ) -> None:
        if sequences < 1 or window < 1 or not 1 <= length <= len(stream):
            raise InputError(
                f"{sequences} sequences of {length} jobs, window {window}, out of {len(stream)} "
                "jobs; expected 1 or more of each, and sequences no longer than the trace"
            )
        if objective not in OBJECTIVES:
            raise InputError(f"objective is {objective!r}; expected one of {', '.join(OBJECTIVES)}")
        if overtaking not in (None, *get_args(Overtaking)):
            raise InputError(f"overtaking is {overtaking!r}; expected fitting, easy or None")
        if overtaking and (compat or window < 2):
            raise InputError("who overtakes is decided with clean semantics and 2 rows or more")
        self.stream, self.length, self.window = stream, length, window
        self.machines = Machines(
            stream,
            sequences,
            length,
            policy=policy if overtaking else "fcfs",
            backfill="easy" if overtaking else backfill,
            compat=compat,
        )
        kind = {None: CHOOSE, "fitting": OVERTAKE, "easy": OVERTAKE_EASY}[overtaking]
        fixed, padding = _compatible(stream) if compat else _clean(stream)
        rank = _orders(stream, compat)
        self.look = Look(
            kind=kind,
            clean=int(compat is None),
            objective=OBJECTIVES[objective],
            same_step=int(same_step),
            fixed=fixed,
            padding=padding,
            rank=rank,
            at=np.argsort(rank, axis=1),
            obs=np.broadcast_to(padding, (sequences, window, FEATURES)).copy(),
            mask=np.zeros((sequences, window), np.int8),
            shown=np.zeros((sequences, window), np.int32),
            rows=np.zeros(sequences, np.int64),
            written=np.zeros(sequences, np.int64),
            over=np.ones(sequences, np.int8),
            reward=np.zeros(sequences),
            done=np.zeros(sequences, np.bool_),
            score=np.full(sequences, np.nan),
            illegal=np.zeros(sequences, np.int64),
            order=np.zeros((sequences, 2, length), np.int32),
            ordered=np.zeros(sequences, np.int8),
            heap=np.zeros(length, np.int64),
            mark=np.zeros(length, np.int8),
            per_user=np.zeros((int(stream.user.max(initial=0)) + 1, 2)),
        )
        machines = self.machines
        self._tables = Tables(machines.state, machines.jobs, machines.rule, self.look)
        self._action = np.zeros(sequences, np.int64)
        self._first = np.zeros(sequences, np.int64)
        self._stepping = np.full(sequences, STEP, np.int8)

    def reset(self, first: ArrayLike, which: ArrayLike | None = None) -> None:
        """Put sequences, by default all, to their beginnings: jobs `first` of the stream."""
        chosen = True if which is None else np.asarray(which, np.bool_)
        self.step(self._action, first, what=np.where(chosen, ANEW, LEAVE))

    def step(
        self,
        action: ArrayLike,
        first: ArrayLike | None = None,
        *,
        what: ArrayLike | None = None,
    ) -> None:
        """Take the row `action` in each sequence, and go on to its next decision; see `look`.

        Rows that hold nobody count as row 0, and as `Look.illegal`. Sequences that end begin anew
        at job `first`, by default that of the last call, if it was asked for. `what` says otherwise
        for some: begin anew, or stay.
        """
        self._action[:] = action
        if first is not None:
            self._begin_at(first)
        doing = self._stepping
        if what is not None:
            doing = np.empty_like(doing)
            doing[:] = what
        step_all(self._tables, self._action, doing, self._first, self.length)

    def _begin_at(self, first: ArrayLike) -> None:
        begins, last = np.asarray(first, np.int64), len(self.stream) - self.length
        if begins.min() < 0 or begins.max() > last:
            raise InputError(
                f"sequences of {self.length} jobs cannot begin at {begins.ravel()[:5].tolist()}; "
                f"expected 0 to {last}"
            )
        self._first[:] = begins

    def job_numbers(self, sequence: int) -> NDArray[np.int64]:
        """Return the jobs of the stream that the rows of a sequence are."""
        look, first = self.look, self.machines.state.env["first"][sequence]
        return look.shown[sequence, : look.rows[sequence]].astype(np.int64) + first

    def starts(self, sequence: int) -> NDArray[np.float64]:
        """Return when a sequence's jobs started, s; NaN where they wait."""
        return self.machines.state.start[sequence].copy()


def _orders(stream: Stream, compat: Compat | None) -> NDArray[np.int64]:
    """Return the places of all jobs in the two orders that fill a full window."""
    number = np.arange(len(stream))
    short = np.lexsort((number, stream.submit, stream.request))
    other = np.lexsort((number, stream.submit, stream.width)) if compat else None
    both = (short, other) if other is not None else (np.lexsort((number, stream.submit)), short)
    return np.stack([np.argsort(order) for order in both])


def _clean(stream: Stream) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    fixed = np.zeros((len(stream), FEATURES), np.float32)
    request = np.maximum(stream.request, 0.0)
    fixed[:, 1] = np.minimum(np.log1p(request) / np.log1p(_MONTH), 1.0)
    fixed[:, 2] = stream.need / stream.cores
    fixed[:, 7] = 1.0
    return fixed, np.zeros(FEATURES, np.float32)


def _compatible(stream: Stream) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    fixed = np.ones((len(stream), FEATURES), np.float32)
    longest = max(float(stream.run.max(initial=0.0)), 1e-9)
    fixed[:, 1] = np.clip(stream.request / longest, 0.0, _ALMOST)
    fixed[:, 2] = np.clip(stream.need / stream.cores, 0.0, _ALMOST)
    users = int(stream.user.max(initial=0)) + 1
    if users > 1:
        fixed[:, 4] = np.minimum(stream.user / users, _ALMOST)
    return fixed, np.array([0, 1, 1, 1, 1, 1, 1, 0], np.float32)
