"""What the grid kernel leaves behind, as tables: attempts, transfers, outcomes."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.sim.demand import Demand
from gridtwin.sim.faults import Faults
from gridtwin.sim.kernel.codes import Moves, Outcome
from gridtwin.sim.kernel.state import State
from gridtwin.sim.platform import Platform
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.sim.use import TRANSFERS
from gridtwin.trace.schema import TraceSchema

__all__ = ["ERRORS", "STATUS", "Rows", "frame_of", "outcomes_of", "transfers_of"]

ERRORS = {
    Outcome.WALLTIME: "pilot:1213",
    Outcome.OUTAGE: "jobdispatcher:100",
    Outcome.NO_REPLICA: "pilot:1099",
    Outcome.STORAGE_FULL: "pilot:1137",
}
"""PanDA's code of what ended an attempt, where no failure of `Faults` did."""

STATUS = {
    Outcome.FINISHED: "finished",
    Outcome.FAILED: "failed",
    Outcome.WALLTIME: "failed",
    Outcome.OUTAGE: "failed",
    Outcome.NO_SITE: "closed",
    Outcome.NO_REPLICA: "failed",
    Outcome.STORAGE_FULL: "failed",
    Outcome.PARENT_FAILED: "cancelled",
    Outcome.NEVER_READY: "closed",
    Outcome.NEVER_STARTED: "queued",
    Outcome.UNFINISHED: "running",
}
"""The records' word for each outcome."""


@dataclass(frozen=True)
class Rows:
    """Attempts, and the jobs that had none: arrays of one entry each, in order of readiness."""

    job: NDArray[np.int64]
    number: NDArray[np.int64]
    site: NDArray[np.int64]
    """-1: none."""
    ready: NDArray[np.float64]
    start: NDArray[np.float64]
    """NaN: it did not start; so are `staged`, `computed` and `end`."""
    staged: NDArray[np.float64]
    computed: NDArray[np.float64]
    end: NDArray[np.float64]
    outcome: NDArray[np.int64]
    code: NDArray[np.int64]
    speed: NDArray[np.float64]
    """flop/s of a core where it ran; NaN: none is given."""

    @classmethod
    def of(cls, state: State, demand: Demand) -> "Rows":
        """Read the kernel's tables."""
        made = state.attempts[: int(state.world[0]["attempts"])]
        lost = np.flatnonzero(state.jobs["attempts"] == 0)
        nothing, never = np.full(len(lost), -1, np.int64), np.full(len(lost), np.nan)
        speed = np.append(state.pools["speed"], np.nan)[made["pool"]]
        submit = demand.work.submit[lost]
        order = np.argsort(np.concatenate([made["ready"], submit]), kind="stable")

        def joined(ours: NDArray, others: NDArray) -> NDArray:  # type: ignore[type-arg]
            return np.concatenate([ours, others])[order]

        return cls(
            job=joined(made["job"].astype(np.int64), lost),
            number=joined(made["number"].astype(np.int64), nothing + 1),
            site=joined(made["site"].astype(np.int64), nothing),
            ready=joined(made["ready"], submit),
            start=joined(made["start"], never),
            staged=joined(made["staged"], never),
            computed=joined(made["computed"], never),
            end=joined(made["end"], never),
            outcome=joined(_ended(made), outcomes_of(state)[lost]),
            code=joined(made["code"].astype(np.int64), nothing),
            speed=joined(speed, never),
        )


def _ended(made: NDArray) -> NDArray[np.int64]:  # type: ignore[type-arg]
    """Return how each attempt ended, by what is known at the end of the simulation."""
    out: NDArray[np.int64] = made["outcome"].astype(np.int64)
    out[np.isnan(made["end"])] = int(Outcome.UNFINISHED)
    waits = np.isnan(made["start"])
    out[waits] = np.where(made["site"][waits] < 0, Outcome.NO_SITE, Outcome.NEVER_STARTED)
    return out


def outcomes_of(state: State) -> NDArray[np.int64]:
    """Return the one `Outcome` of each job, wherever the clock stands."""
    out: NDArray[np.int64] = state.jobs["outcome"].astype(np.int64)
    last = np.flatnonzero(out < 0)
    start = state.attempts["start"][-1 - out[last]]
    out[last] = np.where(np.isnan(start), Outcome.NEVER_STARTED, Outcome.UNFINISHED)
    none = out == 0
    come = np.arange(len(out)) < int(state.world[0]["arrived"])
    waits = state.jobs["waits_for"] > 0
    out[none] = np.where(come & waits, Outcome.NEVER_READY, Outcome.NEVER_STARTED)[none]
    return out


def frame_of(
    rows: Rows, demand: Demand, platform: Platform, faults: Faults, transfers: pl.DataFrame
) -> pl.DataFrame:
    """Return the attempts as records: what the jobs' records say, and what was simulated."""
    frame = demand.frame[rows.job].drop("eligible_time", strict=False)
    base, again = frame["job_id"], rows.number > 0
    ids = _ids(base, rows.number)
    before = _ids(base, rows.number - 1)
    old = frame["parent_id"] if "parent_id" in frame.columns else pl.Series([None] * len(ids))
    counted = frame["attempt"].fill_null(0) if "attempt" in frame.columns else 0
    names = pl.Series([*platform.names, None], dtype=pl.String)
    ran, ended = ~np.isnan(rows.start), ~np.isnan(rows.end)
    columns = {
        "job_id": ids,
        "attempt": pl.Series(rows.number) + counted,
        "parent_id": pl.select(pl.when(pl.Series(again)).then(before).otherwise(old)).to_series(),
        "site": names.gather(np.where(rows.site < 0, len(names) - 1, rows.site)),
        "submit_time": pl.Series(rows.ready),
        "start_time": _some(rows.start),
        "end_time": _some(rows.end),
        "run_time": _some(rows.end - rows.start),
        "wait_time": _some(rows.start - rows.ready),
        "status": _words({int(k): v for k, v in STATUS.items()}, rows.outcome),
        "raw_status": _words({int(k): k.name.lower() for k in Outcome}, rows.outcome),
        "error_codes": _codes(rows, faults),
        **_used(frame, rows, demand, ran & ended),
        **_bytes(frame, rows, ids, demand, transfers),
    }
    own = demand.work.site
    if own is None or (rows.site != own[rows.job]).any():
        frame = frame.drop("queue", strict=False)
    frame = frame.with_columns(**columns)
    return frame.select(name for name in TraceSchema.canonical().names if name in frame.columns)


def _ids(base: pl.Series, number: NDArray[np.int64]) -> pl.Series:
    """Return the ids of attempts: the first has the job's own, the others ``<job>.<attempt>``."""
    if not (number > 0).any():
        return base
    count = pl.Series(number)
    named = pl.when(count > 0).then(pl.format("{}.{}", base, count)).otherwise(base)
    return pl.select(named).to_series().alias("job_id")


def _some(values: NDArray[np.float64]) -> pl.Series:
    return pl.Series(values, dtype=pl.Float64).fill_nan(None)


def _words(words: dict[int, str], codes: NDArray[np.int64]) -> pl.Series:
    listed = pl.Series([words.get(k) for k in range(len(Outcome))], dtype=pl.String)
    return listed.gather(codes)


def _codes(rows: Rows, faults: Faults) -> pl.Series:
    """Return the error codes: those of the failures drawn, else of what ended the attempt."""
    texts: list[list[str]] = [[]]
    of = np.zeros(len(rows.job), np.int64)
    for outcome, code in ERRORS.items():
        of[rows.outcome == outcome] = len(texts)
        texts.append([code])
    failed = rows.outcome == Outcome.FAILED
    of[failed] = len(texts) + rows.code[failed]
    texts += [[failure.code] for failure in faults.failures]
    return pl.Series(texts, dtype=pl.List(pl.String)).gather(of)


def _used(
    frame: pl.DataFrame, rows: Rows, demand: Demand, ended: NDArray[np.bool_]
) -> dict[str, pl.Series]:
    """Return core power, CPU time (as recorded for each second of payload) and work."""
    out: dict[str, pl.Series] = {}
    power = _some(rows.speed / FLOPS_PER_HS23)
    if "core_power" in frame.columns:
        power = pl.select(pl.coalesce(power, frame["core_power"])).to_series()
    if power.null_count() < len(power):
        out["core_power"] = power
    if "cpu_time" not in frame.columns:
        return out
    begin = np.where(np.isnan(rows.staged), rows.start, rows.staged)
    last = np.where(np.isnan(rows.computed), rows.end, rows.computed)
    whole = demand.work.run[rows.job]
    if demand.work.flop is not None:
        there = demand.work.flop[rows.job] / rows.speed
        long = np.where(np.isnan(there), whole, there)
    else:
        long = whole
    done = np.where(long > 0, np.clip((last - begin) / np.where(long > 0, long, 1.0), 0, 1), 1.0)
    faster = np.where(whole > 0, long / np.where(whole > 0, whole, 1.0), 1.0)
    share = _some(np.where(ended, done * faster, np.nan))
    out["cpu_time"] = frame["cpu_time"] * share
    if "work" in frame.columns:
        out["work"] = out["cpu_time"] * power
    return out


def _bytes(
    frame: pl.DataFrame, rows: Rows, ids: pl.Series, demand: Demand, transfers: pl.DataFrame
) -> dict[str, pl.Series]:
    """Return what was read, from where, and what was written."""
    out: dict[str, pl.Series] = {}
    work = demand.work
    if work.input_file is not None and work.input_ptr is not None and work.files is not None:
        sums = np.concatenate([[0.0], np.cumsum(work.files.bytes[work.input_file])])
        out["input_bytes"] = pl.Series(np.diff(sums[work.input_ptr])[rows.job])
        far = transfers.filter(
            (pl.col("kind") != "output") & (pl.col("source") != pl.col("destination"))
        )
        moved = far.group_by("job_id").agg(pl.col("bytes").sum())
        of = pl.DataFrame({"job_id": ids}).join(
            moved, on="job_id", how="left", maintain_order="left"
        )
        out["remote_bytes"] = of["bytes"].fill_null(0.0)
    if "output_bytes" in frame.columns:
        finished = pl.Series(rows.outcome == Outcome.FINISHED)
        wrote = pl.when(finished).then(frame["output_bytes"]).otherwise(0.0)
        out["output_bytes"] = pl.select(wrote).to_series()
    return out


def transfers_of(state: State, demand: Demand, platform: Platform) -> pl.DataFrame:
    """Return the transfers that ended, columns as in `TRANSFERS`."""
    log = state.transfers[: int(state.world[0]["transfers"])]
    attempt = state.attempts[log["attempt"]]
    ids = _ids(demand.frame["job_id"].gather(attempt["job"]), attempt["number"].astype(np.int64))
    places = pl.Series([*platform.names, *platform.routers], dtype=pl.String)
    files = demand.work.files
    names = pl.Series([] if files is None or files.names is None else files.names, dtype=pl.String)
    unnamed = (log["file"] < 0) | (log["file"] >= len(names))
    file = pl.Series(np.where(unnamed, len(names), log["file"]))
    kinds = pl.Series([k.name.lower() for k in Moves])
    return pl.DataFrame(
        {
            "job_id": ids,
            "attempt": attempt["number"].astype(np.int64),
            "file": names.extend(pl.Series([None], dtype=pl.String)).gather(file),
            "bytes": log["bytes"].copy(),
            "source": places.gather(log["source"]),
            "destination": places.gather(log["destination"]),
            "start": log["start"].copy(),
            "end": log["end"].copy(),
            "kind": kinds.gather(log["kind"]),
        },
        schema_overrides=TRANSFERS,
    )
