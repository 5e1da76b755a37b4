"""What a simulation gives: jobs again, timelines, a summary."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.sim import use
from gridtwin.sim.platform import Platform
from gridtwin.trace import JobTable
from gridtwin.trace.derive import bounded_slowdown, offered_load

__all__ = ["DEFINITIONS", "Kernel", "Result", "Schedule"]

Kernel = Literal["compute", "grid"]

DEFINITIONS = {
    "jobs": "jobs that ran",
    "rejected": "jobs of the table that did not run; the reasons are in 'rejections'",
    "unit": "what 'cores' and the jobs' sizes count: cores, gpus or nodes",
    "cores": "size of all sites together",
    "sites": "number of sites",
    "wait": "start - submit, s; mean, median and 95th percentile over jobs",
    "waiting_share": "share of jobs that did not start when they were submitted",
    "bounded_slowdown": "max(1, (wait + run) / max(run, 10 s)); the same three over jobs",
    "makespan": "last end - first submit, s",
    "utilisation": "sum(run * size) / (cores * makespan)",
    "offered_load": "sum(run * size) / (cores * (last submit - first submit))",
    "attempts": "attempts of jobs; wait and slowdown count each by itself",
    "finished_share": "share of the simulated jobs that finished in the end",
    "lost_share": "share of the core seconds that went to attempts which did not finish",
    "moved_bytes": "bytes of the transfers between different places",
    "local_attempts": "attempts of jobs of the background; they count in utilisation alone",
    "events": "events of the simulation",
}
"""What each figure of `Result.summary` means; an undefined figure is None."""


@dataclass(frozen=True)
class Schedule:
    """When and where the attempts of a result ran: one entry each, in order of submission.

    With the kernel ``compute`` each job has one attempt, which ran to its end.
    """

    submit: NDArray[np.float64]
    start: NDArray[np.float64]
    """NaN: it never started; so is `end`: it had not ended when the simulation did."""
    end: NDArray[np.float64]
    run: NDArray[np.float64]
    width: NDArray[np.int64]
    site: NDArray[np.int64]
    """Index into the platform's sites, -1 for none."""
    local: NDArray[np.bool_] | None = None
    """Whether it is of the background; None: nothing is."""
    fixed: NDArray[np.bool_] | None = None
    """Whether its site was given, not chosen; None: as the broker says."""


@dataclass(frozen=True)
class Result:
    """The outcome of a simulation."""

    jobs: JobTable
    """The attempts, with simulated times, site and status, and what the records held else.

    With the kernel ``compute``: the jobs that ran, with simulated start, end, wait and site. A
    second attempt is called ``<job>.1``, and so on, and names the one before in ``parent_id``;
    ``raw_status`` is how it ended, a name of `gridtwin.sim.kernel.codes.Outcome`. A job that was
    never sent to a site has one row.
    """
    rejected: Mapping[str, int]
    """Jobs that did not run, by reason."""
    platform: Platform
    policy: str
    broker: str
    seed: int
    unit: str
    schedule: Schedule
    kernel: Kernel = "compute"
    level: int = 0
    """0: no data are moved; 1: links are independent; 2: they are shared; 3: storages take part."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Jobs of the table by how they ended, ``rejected`` among it; each counts once."""
    transfers: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=use.TRANSFERS))
    """Transfers that ended: columns as in `gridtwin.sim.use.TRANSFERS`; ``job_id`` is the row's."""
    local: JobTable | None = None
    """The attempts of local jobs."""
    base: pl.Series | None = None
    """The job of each row of `jobs`; None: the row's own ``job_id``."""
    events: int | None = None
    complete: bool = True
    """Whether nothing was left to happen; else the bound on events was met."""
    notes: tuple[str, ...] = ()
    """What was assumed, left out or not reached, a sentence each."""

    @property
    def cores(self) -> int:
        """Size of all sites together."""
        return int(self.platform.cores.sum())

    @cached_property
    def timeline(self) -> pl.DataFrame:
        """State of each site from each change on: time, site, queued, running, busy_cores.

        Exact; ordered by site and time; a site is empty before its first row. At most three rows a
        job: see `averaged` for a drawing.
        """
        s = self.schedule
        at = np.flatnonzero(s.site >= 0)
        submit, start, end, width = s.submit[at], s.start[at], s.end[at], s.width[at]
        zero, one = np.zeros(len(at), np.int64), np.ones(len(at), np.int64)
        # what never happened happens at infinity, behind all that is kept
        time = np.nan_to_num(np.concatenate([submit, start, end]), nan=np.inf)
        site = np.tile(s.site[at], 3)
        order = np.lexsort((time, site))
        time, site = time[order], site[order]
        # every job leaves as it came, so that the sums are 0 again where the next site begins
        changes = ((one, -one, zero), (zero, one, -one), (zero, width, -width))
        states = [np.cumsum(np.concatenate(change)[order]) for change in changes]
        last = time < np.inf
        last[:-1] &= (time[1:] != time[:-1]) | (site[1:] != site[:-1])
        time, site, states = time[last], site[last], [state[last] for state in states]
        first = np.ones(len(time), dtype=bool)  # of a site: what was there before is nothing
        first[1:] = site[1:] != site[:-1]
        changed = np.zeros(len(time), dtype=bool)
        for state in states:
            changed |= state != np.where(first, 0, np.roll(state, 1))
        names = ("queued", "running", "busy_cores")
        return pl.DataFrame(
            {"time": time[changed], "site": self._names(site[changed])}
            | {name: state[changed] for name, state in zip(names, states, strict=True)}
        )

    def averaged(self, bins: int | NDArray[np.float64] = 500) -> pl.DataFrame:
        """Return the timeline as time-weighted means over bins; `time` is a bin's begin.

        So many equal bins reach from the first submission to the last end; there are none if that
        is no time. Or the bounds of bins are given (s, rising).
        """
        names = ("queued", "running", "busy_cores")
        timeline = self.timeline
        edges = self._edges(bins) if isinstance(bins, int) else bins
        bins = len(edges) - 1
        if not len(edges):
            return timeline.clear().cast(dict.fromkeys(names, pl.Float64))
        parts = []
        for name in self.platform.names:
            rows = timeline.filter(pl.col("site") == name)
            time = rows["time"].to_numpy()
            last = edges[-1:] if len(time) else edges[:0]
            time = np.concatenate([time, np.maximum(last, time[-1:])])
            part: dict[str, Any] = {"time": edges[:-1], "site": [name] * bins}
            for column in names:
                area = np.zeros(max(len(time), 1))
                area[1:] = np.cumsum(rows[column].to_numpy() * np.diff(time)) if len(time) else 0.0
                at_edges = np.interp(edges, time if len(time) else edges[:1], area)
                part[column] = np.diff(at_edges) / np.diff(edges)
            parts.append(pl.DataFrame(part))
        return pl.concat(parts)

    def links(self, bins: int = 500) -> pl.DataFrame:
        """Return how much of each link transfers took: time, link, rate (bytes/s), use.

        Means over equal bins, by the transfers that ended, each spread evenly over its time; use is
        the rate's share of the bandwidth. Links that nothing crossed are left out.
        """
        return use.links(self.transfers, self.platform, self._edges(bins))

    def stored(self, bins: int = 500) -> pl.DataFrame:
        """Return the bytes that jobs had written at each site: time (of a bin's end), site, bytes.

        Outputs of finished attempts; copies in caches come and go and are not counted.
        """
        return use.stored(self.jobs, self.local, self.platform, self._edges(bins))

    @cached_property
    def decisions(self) -> pl.DataFrame:
        """Where each attempt was sent, and by whom: time, job_id, attempt, site, chosen_by.

        A site of null: the broker found none. ``chosen_by`` is the broker, or ``fixed``.
        """
        parts = []
        s = self.schedule
        for table, local in ((self.jobs, False), (self.local, True)):
            if table is None:
                continue
            mine = np.ones(len(s.site), bool) if s.local is None else s.local == local
            fixed = np.zeros(len(s.site), bool) if s.fixed is None else s.fixed
            have = table.columns
            frame = table.frame.select(
                pl.col("submit_time").alias("time"),
                "job_id",
                pl.col("attempt") if "attempt" in have else pl.lit(0).alias("attempt"),
                "site",
                chosen_by=pl.lit(self.broker),
                sent=pl.col("site").is_not_null()
                | (pl.col("raw_status") == "no_site" if self.kernel == "grid" else pl.lit(False)),
            ).collect()
            frame = frame.with_columns(
                chosen_by=pl.when(pl.Series(fixed[mine]))
                .then(pl.lit("fixed"))
                .otherwise("chosen_by")
            )
            parts.append(frame.filter("sent").drop("sent"))
        return pl.concat(parts).sort("time", maintain_order=True)

    def summary(self) -> dict[str, Any]:
        """Return the figures that `DEFINITIONS` explains; what is undefined is None."""
        s = self.schedule
        mine = np.isfinite(s.start) if s.local is None else np.isfinite(s.start) & ~s.local
        wait, run, width = (s.start - s.submit)[mine], s.run[mine], s.width[mine]
        over = np.isfinite(run)
        last = np.nanmax(s.end, initial=-np.inf) if len(s.end) else -np.inf
        makespan = float(last - s.submit[0]) if np.isfinite(last) else None
        area = float(np.nansum(s.run * s.width))
        load = offered_load(run[over], width[over], s.submit[mine][over], max(self.cores, 1))
        return {
            "policy": self.policy,
            "broker": self.broker,
            "seed": self.seed,
            "unit": self.unit,
            "cores": self.cores,
            "sites": len(self.platform.sites),
            "jobs": self._ran(mine),
            "rejected": sum(self.rejected.values()),
            **_spread("wait", wait),
            "waiting_share": float((wait > 0).mean()) if len(wait) else None,
            **_spread("bounded_slowdown", bounded_slowdown(wait[over], run[over])),
            "makespan": makespan,
            "utilisation": area / (self.cores * makespan) if makespan and self.cores else None,
            "offered_load": load if np.isfinite(load) else None,
            **(self._grid_figures() if self.kernel == "grid" else {}),
        }

    def _grid_figures(self) -> dict[str, Any]:
        """Return the figures that only the grid kernel has."""
        s = self.schedule
        mine = np.ones(len(s.site), bool) if s.local is None else ~s.local
        spent = np.nan_to_num(s.run * s.width)[mine]
        finished = (self.jobs.collect(["status"])["status"] == "finished").to_numpy()
        jobs = sum(n for name, n in self.outcomes.items() if name != "rejected")
        far = self.transfers.filter(pl.col("source") != pl.col("destination"))
        total = float(spent.sum())
        return {
            "attempts": int(mine.sum()),
            "finished_share": self.outcomes.get("finished", 0) / jobs if jobs else None,
            "lost_share": 1.0 - float(spent[finished].sum()) / total if total else None,
            "moved_bytes": float(far["bytes"].sum()),
            "local_attempts": 0 if self.local is None else len(self.local),
            "events": self.events,
        }

    def save(self, folder: Path | str, *, formats: tuple[use.Format, ...] = ()) -> None:
        """Write ``jobs.parquet``, ``timeline.parquet`` and, last, ``summary.json``.

        With the grid kernel also ``transfers.parquet``, ``decisions.parquet``, ``links.parquet``
        and ``local.parquet``, those that have rows. ``formats``: other simulators' forms too, see
        `gridtwin.sim.use.export`.
        """
        folder = Path(folder)
        frames = {"jobs": self.jobs.collect(), "timeline": self.timeline}
        if self.kernel == "grid":
            local = None if self.local is None else self.local.collect()
            more = {"transfers": self.transfers, "decisions": self.decisions}
            more["links"] = self.links()
            more |= {} if local is None else {"local": local}
            frames |= {name: frame for name, frame in more.items() if frame.height}
        for name, frame in frames.items():
            with writing(folder / f"{name}.parquet") as path:
                frame.write_parquet(path)
        for form in formats:
            use.export(self, folder, form)
        document = {
            "gridtwin": gridtwin.__version__,
            "summary": self.summary(),
            "definitions": DEFINITIONS,
            "kernel": self.kernel,
            "level": self.level,
            "outcomes": dict(self.outcomes),
            "complete": self.complete,
            "notes": list(self.notes),
            "rejections": dict(self.rejected),
            "platform": self.platform.to_dict(),
            "provenance": self.jobs.provenance.to_json(),
        }
        with writing(folder / "summary.json") as path:
            path.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")

    def _ran(self, mine: NDArray[np.bool_]) -> int:
        if self.base is None:
            return int(mine.sum())
        s = self.schedule
        rows = mine if s.local is None else mine[~s.local]
        return int(self.base.filter(pl.Series(rows)).n_unique())

    def _edges(self, bins: int) -> NDArray[np.float64]:
        """Return the bounds of equal bins from the first submission to the last that is known."""
        if bins < 1:
            raise InputError(f"a timeline of {bins} bins; give 1 or more")
        s = self.schedule
        if not len(s.submit):
            return np.zeros(0)
        first = float(s.submit[0])
        moved = self.transfers["end"].to_numpy()
        last = float(np.nanmax(np.concatenate([s.start, s.end, s.submit[-1:], moved])))
        return np.linspace(first, last, bins + 1) if last > first else np.zeros(0)

    def _names(self, site: NDArray[np.int64]) -> pl.Series:
        return pl.Series(self.platform.names, dtype=pl.String).gather(site)


def _spread(name: str, values: NDArray[np.float64]) -> dict[str, float | None]:
    keys = (f"mean_{name}", f"median_{name}", f"p95_{name}")
    if not len(values):
        return dict.fromkeys(keys)
    figures = (values.mean(), np.median(values), np.quantile(values, 0.95))
    return {key: float(figure) for key, figure in zip(keys, figures, strict=True)}
