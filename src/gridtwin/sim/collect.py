"""Put what a run of the grid kernel left into a result."""

from dataclasses import replace

import numpy as np
import polars as pl

from gridtwin.sim.attempts import Rows, frame_of, outcomes_of, transfers_of
from gridtwin.sim.kernel.codes import Outcome
from gridtwin.sim.kernel.state import State
from gridtwin.sim.result import Result, Schedule
from gridtwin.sim.run import Simulation
from gridtwin.trace import JobTable, Provenance

__all__ = ["collected"]


def collected(run: Simulation, origin: Provenance, *, policy: str, broker: str) -> Result:
    """Return the result of a run as it stands; the run can go on afterwards.

    Memory: 120 bytes an attempt, 60 a transfer, and the records' columns for each attempt.
    """
    demand, state = run.demand, run.state
    rows = Rows.of(state, demand)
    transfers = transfers_of(state, demand, run.platform)
    frame = frame_of(rows, demand, run.platform, run.faults, transfers)
    is_local = demand.local[rows.job]
    outcomes = _counts(outcomes_of(state)[~demand.local])
    rejected = dict(demand.rejected)
    notes = (*demand.notes, *_left(run, outcomes))
    table = JobTable.from_frame(
        frame if not is_local.any() else frame.filter(~pl.Series(is_local)),
        Provenance(
            source=f"simulation of {origin.source}",
            format="simulation",
            rows_read=int((~is_local).sum()) + sum(rejected.values()),
            dropped=rejected,
            machine_cores=int(run.platform.cores.sum()) if demand.unit == "cores" else None,
            notes=(
                *origin.notes,
                f"attempts, times, sites and outcomes are simulated: {policy}, {broker}",
                *notes,
            ),
        ),
    )
    local = None
    if demand.local.any():
        background = replace(table.provenance, rows_read=int(is_local.sum()), dropped={})
        local = JobTable.from_frame(frame.filter(pl.Series(is_local)), background)
    if rejected:
        outcomes["rejected"] = sum(rejected.values())
    site = demand.work.site
    return Result(
        jobs=table,
        rejected=rejected,
        platform=run.platform,
        policy=policy,
        broker=broker,
        seed=run.seed,
        unit=demand.unit,
        schedule=Schedule(
            submit=rows.ready,
            start=rows.start,
            end=rows.end,
            run=rows.end - rows.start,
            width=demand.work.cores[rows.job],
            site=rows.site,
            local=is_local if local is not None else None,
            fixed=None if site is None or broker == "recorded" else site[rows.job] >= 0,
        ),
        kernel="grid",
        level=_level(state),
        outcomes=outcomes,
        transfers=transfers,
        local=local,
        base=demand.frame["job_id"].gather(rows.job[~is_local]),
        events=run.events,
        complete=run.stop == "done",
        notes=notes,
    )


def _counts(outcomes: np.ndarray) -> dict[str, int]:
    counts = np.bincount(outcomes, minlength=len(Outcome))
    return {k.name.lower(): int(counts[k]) for k in Outcome if counts[k]}


def _level(state: State) -> int:
    """Return what of the grid took part: see `Result.level`."""
    if not len(state.classes):
        return 0
    stored = (state.nodes["cache"] > 0).any() or (state.nodes["capacity"] < np.inf).any()
    if stored or (state.jobs["access"] > 0).any():
        return 3
    return int(state.world[0]["level"])


def _left(run: Simulation, outcomes: dict[str, int]) -> list[str]:
    """Say what was not brought to an end, and why."""
    notes = []
    if run.stop == "limit":
        notes.append(f"stopped after {run.events} events, the bound; what was left is not run")
    if run.stop == "reached":
        notes.append(f"stopped at {run.now:.0f} s; what was left is not run")
    reasons = {
        "never_ready": "wait for each other in a circle, or for jobs that never ended",
        "never_started": "wait at a site that does not take them, or for others that never end",
        "unfinished": "still run or wait for data that do not come",
    }
    for name, reason in reasons.items():
        if run.stop == "done" and outcomes.get(name):
            notes.append(f"{outcomes[name]} jobs {reason}; nothing more will happen to them")
    return notes
