"""The key figures: each with its definition and the number it rests on."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from gridtwin.analysis import errors, waste
from gridtwin.analysis.base import Kpi, collect, per, wall
from gridtwin.analysis.status import failure_rate, last_attempts
from gridtwin.core.errors import SchemaError
from gridtwin.trace import JobTable

__all__ = ["key_figures"]

Found = Iterator[tuple[str, Kpi]]
Frames = dict[str, pl.DataFrame]


def key_figures(jobs: JobTable, frames: Frames) -> dict[str, Kpi]:
    """Return the key figures that the table has, in the order of the report.

    `frames` are those of `analyse`; most figures follow from them.
    """
    n = len(jobs)
    found = {"jobs": Kpi(n, "jobs", "Rows of the table.", n)}
    for part in (_queue, _ends, _waste, _cpu, _sites, _access, _requests, _arrivals, _data):
        found.update(part(jobs, frames))
    return found


def _queue(jobs: JobTable, frames: Frames) -> Found:
    if (found := _row(frames, "queue_time_by_all")) is not None:
        for name, what in (("p50", "Median"), ("p90", "90th percentile"), ("mean", "Mean")):
            text = f"{what} of start - creation, of jobs that started."
            key = {"p50": "queue_time_median"}.get(name, f"queue_time_{name}")
            yield key, Kpi(found[name], "s", text, found["n"])
    if (split := frames.get("queue_time_split")) is not None:
        share = split.filter(pl.col("part") == "data wait").row(0, named=True)
        text = "Part of the queue time before the job could have started (eligible_time)."
        yield "data_wait_share", Kpi(share["share"], "share", text, share["n"])


def _ends(jobs: JobTable, frames: Frames) -> Found:
    if (ends := frames.get("status")) is not None:
        n = int(ends["n"].sum())
        for status, share in ends.select("status", "share").iter_rows():
            if status in ("finished", "failed", "cancelled", "closed"):
                text = f"Jobs with the status {status} / all jobs."
                yield f"{status}_share", Kpi(share, "share", text, n)
    if (rate := _row(frames, "failure_by_all")) is not None:
        text = "failed / (finished + failed), every attempt a job."
        yield "failure_rate", Kpi(rate["rate"], "share", text, rate["n"])
        if "parent_id" in jobs:
            last = failure_rate(last_attempts(jobs))
            text = "failed / (finished + failed) of jobs that no other one retries."
            value, count = (last["rate"].item(), last["n"].item()) if last.height else (None, 0)
            yield "failure_rate_last_attempt", Kpi(value, "share", text, count)
    combined = frames.get("error_combinations")
    if combined is not None:
        share, n = errors.several_codes(combined)
        text = "Failed jobs with two or more error codes / failed jobs."
        yield "several_codes_share", Kpi(share, "share", text, n)
        told = pl.col("component") != errors.NO_CODE
        total = float(frames["error_components"].filter(told)["share"].sum())
        text = "Sum over components of the failed jobs with a code of it / failed jobs."
        yield "component_share_sum", Kpi(total, "share", text, n)
    if (days := frames.get("site_days")) is not None:
        tested = days.drop_nulls("p_value").height
        text = "Site-days on which several senders fail at once, more than they do elsewhere."
        yield "incident_site_days", Kpi(int(days["incident"].sum()), "site-days", text, tested)


def _waste(jobs: JobTable, frames: Frames) -> Found:
    try:
        failed = waste.wasted_total(jobs)
        other = waste.wasted_total(jobs, ("failed", "cancelled", "closed"))
    except SchemaError:
        return
    n = int(failed["n"])
    text = "Sum of cores x wall time over failed jobs."
    yield "wasted_core_hours", Kpi(failed["wasted"], "core h", text, n)
    share = failed["wasted"] / failed["all"] if failed["all"] else None
    text = "Wasted core-hours / core-hours of all jobs."
    yield "wasted_share", Kpi(share, "share", text, int(failed["n_all"]))
    share = other["wasted"] / failed["all"] if failed["all"] else None
    text = "The same with cancelled and closed jobs that ran."
    yield "wasted_share_with_cancelled", Kpi(share, "share", text, int(failed["n_all"]))
    text = "Sum of the wall time of failed jobs, cores not counted (the monitor's loss)."
    yield "wall_time_loss", Kpi(failed["wall_wasted"], "h", text, n)


def _cpu(jobs: JobTable, frames: Frames) -> Found:
    if "cpu_time" in frames:
        known = pl.col("cpu_time").filter(pl.col("cpu_time") > 0)
        middle, n = collect(jobs.frame.select(known.median().alias("m"), known.len())).row(0)
        text = "Median CPU time, summed over cores, of jobs that have some."
        yield "cpu_time_median", Kpi(middle, "core s", text, n)
    if (found := _row(frames, "efficiency")) is not None:
        text = "Sum of CPU time / sum of wall time x cores; jobs above 1 count as 1."
        yield "cpu_efficiency", Kpi(found["total"], "share", text, found["n"])
        text = "Jobs whose CPU time passes wall time x cores / jobs with an efficiency."
        yield "efficiency_clipped", Kpi(found["clipped"] / found["n"], "share", text, found["n"])


def _sites(jobs: JobTable, frames: Frames) -> Found:
    if (sites := frames.get("site_footprint")) is not None:
        place = per(jobs)
        text = f"Different {place}s with jobs."
        yield "sites", Kpi(int(sites["sites"].sum()), f"{place}s", text, len(jobs))
        text = "Share of the jobs at the place with the most."
        yield "largest_site_share", Kpi(sites["share"][0], "share", text, int(sites["n"].sum()))
    if (power := frames.get("site_power")) is not None:
        text = "Places whose power per core is an outlier (modified z-score above 3.5)."
        yield "power_outliers", Kpi(int(power["outlier"].sum()), "sites", text, power.height)


_READ = "bytes of input files read from another site / bytes of input with an answer"


def _access(jobs: JobTable, frames: Frames) -> Found:
    if (table := frames.get("access_by_class")) is None:
        return
    share, known, n, files = _remote(table, "best")
    text = f"{_READ.capitalize()}; a direct read counts with the size of its file."
    if known is None:
        text += " The job table alone does not tell it."
    yield "remote_share", Kpi(share, "share", text, n)
    text = "Bytes of input with an answer / bytes of input, of jobs that started."
    yield "access_known_share", Kpi(known or 0.0, "share", text, files)
    bound, known, n, _ = _remote(table, "replicas")
    if known is not None:
        text = f"{_READ.capitalize()}, by replicas alone: an upper bound."
        yield "remote_share_at_most", Kpi(bound, "share", text, n)
    if (right := frames.get("access_recovered")) is not None:
        for row in right.iter_rows(named=True):
            kind = "moved" if row["method"] == "transfers" else "read"
            what = {"moved": "brought to the job's site", "read": "read from another site"}[kind]
            text = f"Bytes truly {what} that the method finds ({row['method']}) / all such."
            key = f"{kind}_recovered_by_{row['method']}"
            yield key, Kpi(row[f"{kind}_share"], "share", text, row["jobs"])
    if (time := _row(frames, "transfer_time")) is not None:
        text = "Queue time with a matched transfer under way / queue time, of jobs with a match."
        yield "transfer_time_share", Kpi(time["share"], "share", text, time["n"])


def _remote(table: pl.DataFrame, method: str) -> tuple[float | None, float | None, int, int]:
    """Return a method's share of remote bytes, of known bytes, files with an answer, files."""
    mine = table.filter(~pl.col("access").is_in(["not started", "no input"]))
    files = int(mine.filter(pl.col("method").is_in([method, "jobs"]))["files"].sum())
    mine = mine.filter(pl.col("method") == method)
    known = mine.filter(pl.col("remote_bytes").is_not_null())
    size, remote, total = (
        float(x.sum()) for x in (known["bytes"], known["remote_bytes"], mine["bytes"])
    )
    if not size or not total:
        return None, None, 0, files
    return remote / size, size / total, int(known["files"].sum()), files


def _requests(jobs: JobTable, frames: Frames) -> Found:
    try:
        needed = wall(jobs)
    except SchemaError:
        return
    if "walltime_req" not in jobs:
        return
    asked = pl.when(pl.col("walltime_req") > 0).then("walltime_req")
    ratio = needed / asked
    found = collect(
        jobs.frame.select(ratio.alias("x"))
        .drop_nulls()
        .select(pl.col("x").median().alias("m"), (pl.col("x") >= 1).mean().alias("k"), pl.len())
    )
    middle, killed, n = found.row(0)
    if n:
        text = "Median of run time / requested wall time."
        yield "run_over_request_median", Kpi(middle, "ratio", text, n)
        text = "Jobs that ran for all of the requested wall time or longer / jobs with both."
        yield "at_limit_share", Kpi(killed, "share", text, n)


def _arrivals(jobs: JobTable, frames: Frames) -> Found:
    if (days := frames.get("arrivals_by_day")) is not None:
        text = "Mean number of jobs a day (UTC), first and last day included."
        yield (
            "jobs_per_day",
            Kpi(float(days["jobs"].to_numpy().mean()), "jobs/d", text, days.height),
        )
        text = "Jobs on the busiest day / mean day."
        yield (
            "peak_day_over_mean",
            Kpi(float(days["relative"].to_numpy().max()), "ratio", text, days.height),
        )
    if (spread := frames.get("arrival_dispersion")) is not None:
        for width, value, n in spread.select("bin", "fano", "n").iter_rows():
            text = f"Variance / mean of job counts by the {width}: 1 for chance alone."
            yield f"fano_{width}", Kpi(value, "ratio", text, n)
    if (burst := frames.get("bursts")) is not None:
        share = burst.filter(pl.col("low") > 1)["share_jobs"].sum()
        text = "Jobs that a sender sent within 60 s of another one of theirs / jobs."
        yield "burst_share", Kpi(float(share), "share", text, int(burst["jobs"].sum()))


def _data(jobs: JobTable, frames: Frames) -> Found:
    if (uses := frames.get("dataset_uses")) is not None:
        n = int(uses["n"].sum())
        yield (
            "datasets",
            Kpi(n, "data sets", "Different names.", int((uses["uses"] * uses["n"]).sum())),
        )
        few = float(uses.filter(pl.col("uses") <= 2)["share"].sum())
        text = "Data sets that one or two tasks used / data sets."
        yield "datasets_used_once_or_twice", Kpi(few, "share", text, n)
    if (law := _row(frames, "dataset_zipf")) is not None:
        text = "Exponent s of uses ~ rank ** -s, by maximum likelihood."
        yield "zipf_exponent", Kpi(law["s"], "", text, law["n"])
    if (weeks := frames.get("popularity")) is not None:
        for who, what in (("model", "the forecast"), ("last", "last week's uses")):
            mean = float(weeks[f"{who}_mae"].to_numpy().mean())
            text = f"Mean error of {what} of a known data set's uses in the next week."
            yield f"popularity_{who}_mae", Kpi(mean, "uses", text, weeks.height)


def _row(frames: Frames, name: str) -> dict[str, Any] | None:
    """Return the first row of a frame; None where there is no such frame."""
    frame = frames.get(name)
    return None if frame is None or frame.is_empty() else frame.row(0, named=True)
