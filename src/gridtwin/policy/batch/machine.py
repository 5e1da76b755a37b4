"""The batch machine: one machine, many short sequences of jobs; compiled.

Clean semantics: all events of one instant together, completions first; whoever is first by score
starts while it fits, then backfilling. A job without run time holds its cores during that pass. A
job that was chosen (`choose`, `Rule.commit`) is the head and blocks until it fits; jobs overtake it
in order of submission then.

``compat="rlscheduler"`` follows Zhang et al., "RLScheduler", SC 2020: one event at a time, arrivals
before completions, a decision as soon as somebody waits, and the chosen job blocks whatever comes;
meanwhile those may start that are expected to end before the head's start as it was expected when
it was chosen. `gridtwin.policy.batch.plain` says both in plain Python.

All of it works on row ``b`` of a `State`, so that callers compiled themselves can step many.
"""

from pathlib import Path

import numpy as np

from gridtwin.policy.batch.order import arrive, line_up
from gridtwin.policy.batch.overtake import (
    begin,
    finish,
    overtake,
    overtake_before,
    reservation,
)
from gridtwin.policy.batch.state import FAIR, NO_BACKFILL, Jobs, Rule, State
from gridtwin.sim.kernel.jit import Compiled, compiled, part, rare, sources

__all__ = [
    "await_job",
    "choose",
    "clear",
    "clear_all",
    "fingerprint",
    "instant",
    "run_all",
    "step_all",
]


def fingerprint() -> str:
    """Return what changes with the sources; kernels built on this one refer to it, too."""
    return sources(Path(__file__).parent)


@rare
def clear(st: State, jobs: Jobs, rule: Rule, b: int, first: int, count: int) -> None:
    """Put a sequence to its beginning: an empty machine when its first job comes."""
    env = st.env
    env[b].first, env[b].count = first, count
    env[b].now = jobs.submit[first] if count else 0.0
    env[b].free = rule.cores
    env[b].arrived = env[b].queued = env[b].running = env[b].decisions = 0
    env[b].lined = env[b].inline = env[b].timed = env[b].placed = 0
    env[b].blocked, env[b].seen = -1, 0
    for k in range(count):
        st.start[b, k] = np.nan
        st.score[b, k] = jobs.score[first + k]
    if rule.kind == FAIR:
        for user in range(st.usage.shape[1]):
            st.usage[b, user, 0] = st.usage[b, user, 1] = 0.0


@part
def _one(st: State, jobs: Jobs, rule: Rule, b: int) -> None:
    """Let one event happen."""
    env = st.env
    last, comes = env[b].running - 1, np.inf
    if env[b].arrived < env[b].count:
        comes = jobs.submit[env[b].first + env[b].arrived]
    if last < 0 or comes <= st.ends[b, last]:
        env[b].now = max(env[b].now, comes)
        arrive(st, jobs, rule, b)
    else:
        env[b].now = max(env[b].now, st.ends[b, last])
        finish(st, jobs, rule, b)


@part
def instant(st: State, jobs: Jobs, rule: Rule, b: int) -> None:
    """Let all happen that happens next."""
    env, first, next_ = st.env, st.env[b].first, np.inf
    if env[b].arrived < env[b].count:
        next_ = jobs.submit[first + env[b].arrived]
    if env[b].running > 0:
        next_ = min(next_, st.ends[b, env[b].running - 1])
    now = max(env[b].now, next_)
    env[b].now = now
    while env[b].running > 0 and st.ends[b, env[b].running - 1] <= now:
        finish(st, jobs, rule, b)
    while env[b].arrived < env[b].count and jobs.submit[first + env[b].arrived] <= now:
        arrive(st, jobs, rule, b)


@part
def await_job(st: State, jobs: Jobs, rule: Rule, b: int) -> bool:
    """Go on until somebody waits; return whether anybody ever does."""
    env = st.env
    while env[b].queued == 0 and env[b].arrived < env[b].count:
        if rule.compat:
            _one(st, jobs, rule, b)
        else:
            instant(st, jobs, rule, b)
    return env[b].queued > 0


@part
def choose(st: State, jobs: Jobs, rule: Rule, b: int, k: int) -> None:
    """Make a waiting job the head, and go on until it has started."""
    env, when, came = st.env, np.inf, -1
    need = jobs.need[env[b].first + k]
    env[b].decisions += 1
    backfill = rule.backfill != NO_BACKFILL
    if need > env[b].free and backfill and rule.compat:
        when = reservation(st, jobs, b, need)
    while need > env[b].free:
        if rule.compat:
            if backfill:
                newest = env[b].arrived == came + 1
                overtake_before(st, jobs, rule, b, when, newest)
                came = env[b].arrived
            _one(st, jobs, rule, b)
        else:
            if backfill:
                overtake(st, jobs, rule, b, k, False)
            instant(st, jobs, rule, b)
    begin(st, jobs, rule, b, k)


@part
def _serve(st: State, jobs: Jobs, rule: Rule, b: int) -> None:
    """Start by score what can start now."""
    env = st.env
    if env[b].free <= 0:
        return
    stale = True
    while env[b].queued > 0:
        if stale:
            line_up(st, jobs, rule, b)
        stale = rule.kind == FAIR
        k = st.line[b, 0]
        if jobs.need[env[b].first + k] > env[b].free:
            break
        begin(st, jobs, rule, b, k)
        env[b].blocked = -1
        env[b].decisions += 1
    if rule.backfill != NO_BACKFILL and env[b].queued > 1:
        overtake(st, jobs, rule, b, st.line[b, 0], True)


@part
def _run(st: State, jobs: Jobs, rule: Rule, b: int) -> None:
    """Run a sequence to its last start, each decision by score."""
    env = st.env
    if rule.commit:
        while await_job(st, jobs, rule, b):
            line_up(st, jobs, rule, b)
            choose(st, jobs, rule, b, st.line[b, 0])
        return
    while env[b].queued > 0 or env[b].arrived < env[b].count:
        instant(st, jobs, rule, b)
        _serve(st, jobs, rule, b)


def _entries(version: str) -> tuple[Compiled, Compiled, Compiled]:
    """Return the entries, compiled anew when any part of them changes."""

    def run_all(st, jobs, rule, first, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        version  # noqa: B018 - see `sources`
        for s in range(len(first)):
            clear(st, jobs, rule, 0, first[s], out.shape[1])
            _run(st, jobs, rule, 0)
            for k in range(out.shape[1]):
                out[s, k] = st.start[0, k]

    def clear_all(st, jobs, rule, which, first, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        version  # noqa: B018
        for b in range(len(which)):
            if which[b]:
                clear(st, jobs, rule, b, first[b], count)
                await_job(st, jobs, rule, b)

    def step_all(st, jobs, rule, place):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        version  # noqa: B018
        for b in range(len(place)):
            if st.env[b].queued > 0:
                choose(st, jobs, rule, b, st.fifo[b, place[b]])
                await_job(st, jobs, rule, b)

    return compiled(run_all), compiled(clear_all), compiled(step_all)


run_all, clear_all, step_all = _entries(fingerprint())
"""Run sequences to their ends one by one in row 0, by score, and copy the start times to `out`;
put rows to their beginnings and go on until somebody waits; let each row that waits choose the job
at a place of its `State.fifo` and go on until somebody waits."""
