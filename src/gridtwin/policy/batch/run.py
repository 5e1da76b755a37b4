"""Run or step sequences of a stream on the batch machine."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.call import address_of
from gridtwin.policy.batch.machine import clear_all, run_all, step_all
from gridtwin.policy.batch.state import (
    AS_LEFT,
    BACKFILLS,
    BY_NUMBER,
    BY_SUBMIT,
    FAIR,
    MOVING,
    NO_BACKFILL,
    STATIC,
    Jobs,
    Rule,
    State,
    blank,
)
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.queueing import Queueing, find, scored
from gridtwin.sim.policies import Backfill

__all__ = ["Compat", "Machines", "start_times", "tables"]

Compat = Literal["rlscheduler"]

_HALF_LIFE = 7 * 86400.0


def start_times(
    stream: Stream,
    policy: str | Queueing,
    *,
    first: ArrayLike = (0,),
    length: int | None = None,
    backfill: Backfill = "none",
    compat: Compat | None = None,
    commit: bool = False,
) -> NDArray[np.float64]:
    """Run sequences of consecutive jobs under a queueing policy; return when each job starts.

    Parameters
    ----------
    stream
        The jobs; in order of submission unless `compat` is given.
    first, length
        Where each of the S sequences begins, and how many jobs L all have: by default all of them.
        Each begins with an empty machine when its first job is submitted.
    backfill
        With `compat`, ``"easy"`` is that simulator's own kind, and there is no other.
    compat
        ``"rlscheduler"``: the semantics of that simulator (see `gridtwin.policy.batch.machine`).
    commit
        Whether whoever is first blocks until it starts, whatever comes meanwhile, as whatever
        `Machines` are told to choose does; always so with `compat`.

    Returns
    -------
    start : (S, L)
        s.
    """
    policy = find(policy) if isinstance(policy, str) else policy
    begins, length = _sequences(stream, first, length)
    jobs = _jobs(stream, policy, compat)
    rule = _rule(stream, policy, backfill, compat, commit)
    out = np.empty((len(begins), length))
    run_all(blank(jobs, rule, 1, length), jobs, rule, begins, out)
    return out


class Machines:
    """Many sequences, each stepped by choices: the state below an environment.

    After `reset` and each `step` every sequence either has waiting jobs, of which one is to be
    chosen, or is done. `state`, `jobs` and `rule` are what the compiled parts of
    `gridtwin.policy.batch.machine` work on. `policy` is whose scores those parts see; here all is
    chosen from outside.
    """

    def __init__(
        self,
        stream: Stream,
        sequences: int,
        length: int,
        *,
        policy: str = "fcfs",
        backfill: Backfill = "none",
        compat: Compat | None = None,
    ) -> None:
        self.stream, self.length = stream, length
        chosen = find(policy)
        self.jobs: Jobs = _jobs(stream, chosen, compat)
        self.rule: Rule = _rule(stream, chosen, backfill, compat, True)._replace(fifo=1)
        self.state: State = blank(self.jobs, self.rule, sequences, length)

    def reset(self, first: ArrayLike, which: ArrayLike | None = None) -> None:
        """Put sequences, by default all, to their beginnings: jobs ``first`` of the stream."""
        count = len(self.state.env)
        begins, _ = _sequences(self.stream, np.broadcast_to(first, count), self.length)
        chosen = np.ones(count, np.bool_) if which is None else np.asarray(which, np.bool_)
        if chosen.shape != (count,):
            raise InputError(f"which has shape {chosen.shape}; expected {count} truth values")
        clear_all(self.state, self.jobs, self.rule, chosen, begins, self.length)

    @property
    def queued(self) -> NDArray[np.int64]:
        """How many jobs wait in each sequence; 0: it is done."""
        return np.asarray(self.state.env["queued"])

    def waiting(self, sequence: int) -> NDArray[np.int64]:
        """Return the waiting jobs of a sequence, as numbers in it, by submit time."""
        return self.state.fifo[sequence, : self.queued[sequence]].astype(np.int64)

    def step(self, place: ArrayLike) -> None:
        """Choose in each sequence the job at a place of `waiting`; those that are done stay so."""
        chosen = np.asarray(place)
        queued = self.queued
        if chosen.shape != queued.shape or chosen.dtype.kind not in "iu":
            raise InputError(
                f"place has shape {chosen.shape}; expected {len(queued)} whole numbers"
            )
        if ((queued > 0) & ((chosen < 0) | (chosen >= queued))).any():
            raise InputError("a place is not below the number of waiting jobs; choose one of them")
        step_all(self.state, self.jobs, self.rule, chosen.astype(np.int64))


def tables(stream: Stream, backfill: Backfill) -> tuple[Jobs, Rule]:
    """Return the jobs and the rule of a machine whose scores are written anew at each decision."""
    fcfs = find("fcfs")
    rule = _rule(stream, fcfs, backfill, None, False)._replace(kind=MOVING)
    return _jobs(stream, fcfs, None), rule


def _sequences(
    stream: Stream, first: ArrayLike, length: int | None
) -> tuple[NDArray[np.int64], int]:
    begins = np.atleast_1d(np.asarray(first, np.int64))
    length = len(stream) if length is None else length
    if length < 1 or (
        len(begins) and not 0 <= begins.min() <= begins.max() <= len(stream) - length
    ):
        raise InputError(
            f"sequences of {length} jobs that begin at {begins[:5].tolist()}... do not lie within "
            f"{len(stream)} jobs; choose 1 job or more and beginnings from 0"
        )
    return begins, length


def _jobs(stream: Stream, policy: Queueing, compat: Compat | None) -> Jobs:
    if compat not in (None, "rlscheduler"):
        raise InputError(f"compat is {compat!r}; expected 'rlscheduler' or None")
    if compat is None and (np.diff(stream.submit) < 0).any():
        raise InputError("the submit times fall somewhere; sort the jobs by them")
    width, score = stream.width.astype(np.float64), np.zeros(len(stream))
    if policy.static:
        counted = stream.submit - _origin(stream, compat)
        score = scored(policy, stream.request, width, counted)
    request = stream.request if compat else np.maximum(stream.request, 0.0)
    return Jobs(stream.submit, stream.need, width, stream.run, request, stream.user, score)


def _origin(stream: Stream, compat: Compat | None) -> float:
    return float(stream.submit.min(initial=np.inf)) if compat is None and len(stream) else 0.0


def _rule(
    stream: Stream, policy: Queueing, backfill: Backfill, compat: Compat | None, commit: bool
) -> Rule:
    if backfill not in BACKFILLS or (compat and backfill == "conservative"):
        known = "none or easy" if compat else "none, easy or conservative"
        raise InputError(f"backfill is {backfill!r}; expected {known}")
    kind = FAIR if policy.score is None else MOVING if policy.moving else STATIC
    ties = (BY_SUBMIT if policy.by_submit else AS_LEFT) if compat else BY_NUMBER
    return Rule(
        cores=stream.cores,
        compat=int(compat is not None),
        commit=int(commit or compat is not None),
        backfill=BACKFILLS[backfill],
        kind=kind,
        ties=ties,
        steady=int(not (np.diff(stream.submit) < 0).any()),
        fifo=int((commit or compat is not None) and BACKFILLS[backfill] != NO_BACKFILL),
        address=address_of(policy.score) if kind == MOVING and policy.score else 0,
        origin=_origin(stream, compat),
        half_life=_HALF_LIFE,
    )
