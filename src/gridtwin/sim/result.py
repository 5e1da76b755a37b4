"""What a simulation gives: jobs again, timelines, a summary."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.sim.platform import Platform
from gridtwin.trace import JobTable
from gridtwin.trace.derive import bounded_slowdown, offered_load

__all__ = ["DEFINITIONS", "Result", "Schedule"]

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
}
"""What each figure of `Result.summary` means; an undefined figure is None."""


@dataclass(frozen=True)
class Schedule:
    """When and where the jobs of a result ran: one entry per job, in order of submission."""

    submit: NDArray[np.float64]
    start: NDArray[np.float64]
    run: NDArray[np.float64]
    width: NDArray[np.int64]
    site: NDArray[np.int64]
    """Index into the platform's sites."""

    @property
    def end(self) -> NDArray[np.float64]:
        """Start plus run time."""
        return self.start + self.run


@dataclass(frozen=True)
class Result:
    """The outcome of a simulation."""

    jobs: JobTable
    """The jobs that ran, with simulated start, end, wait and site, and what the table held else."""
    rejected: Mapping[str, int]
    """Jobs that did not run, by reason."""
    platform: Platform
    policy: str
    broker: str
    seed: int
    unit: str
    schedule: Schedule

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
        zero, one = np.zeros(len(s.submit), np.int64), np.ones(len(s.submit), np.int64)
        time = np.concatenate([s.submit, s.start, s.end])
        site = np.tile(s.site, 3)
        order = np.lexsort((time, site))
        time, site = time[order], site[order]
        # every job leaves as it came, so that the sums are 0 again where the next site begins
        changes = ((one, -one, zero), (zero, one, -one), (zero, s.width, -s.width))
        states = [np.cumsum(np.concatenate(change)[order]) for change in changes]
        last = np.ones(len(time), dtype=bool)
        last[:-1] = (time[1:] != time[:-1]) | (site[1:] != site[:-1])
        time, site, states = time[last], site[last], [state[last] for state in states]
        changed = np.zeros(len(time), dtype=bool)
        for state in states:
            changed |= np.diff(state, prepend=0) != 0
        names = ("queued", "running", "busy_cores")
        return pl.DataFrame(
            {"time": time[changed], "site": self._names(site[changed])}
            | {name: state[changed] for name, state in zip(names, states, strict=True)}
        )

    def averaged(self, bins: int = 500) -> pl.DataFrame:
        """Return the timeline as time-weighted means over equal bins; `time` is a bin's begin.

        The bins reach from the first submission to the last end; there are none if that is no time.
        """
        if bins < 1:
            raise InputError(f"a timeline of {bins} bins; give 1 or more")
        names = ("queued", "running", "busy_cores")
        s, timeline = self.schedule, self.timeline
        first, last = (s.submit[0], s.end.max()) if len(s.submit) else (0.0, 0.0)
        if last <= first:
            return timeline.clear().cast(dict.fromkeys(names, pl.Float64))
        edges = np.linspace(first, last, bins + 1)
        parts = []
        for name in self.platform.names:
            rows = timeline.filter(pl.col("site") == name)
            time = rows["time"].to_numpy()
            part: dict[str, Any] = {"time": edges[:-1], "site": [name] * bins}
            for column in names:
                area = np.zeros(max(len(time), 1))
                area[1:] = np.cumsum(rows[column].to_numpy()[:-1] * np.diff(time))
                at_edges = np.interp(edges, time if len(time) else edges[:1], area)
                part[column] = np.diff(at_edges) / np.diff(edges)
            parts.append(pl.DataFrame(part))
        return pl.concat(parts)

    def summary(self) -> dict[str, Any]:
        """Return the figures that `DEFINITIONS` explains; what is undefined is None."""
        s = self.schedule
        wait = s.start - s.submit
        makespan = float(s.end.max() - s.submit[0]) if len(wait) else None
        area = float((s.run * s.width).sum())
        load = offered_load(s.run, s.width, s.submit, self.cores)
        return {
            "policy": self.policy,
            "broker": self.broker,
            "seed": self.seed,
            "unit": self.unit,
            "cores": self.cores,
            "sites": len(self.platform.sites),
            "jobs": len(wait),
            "rejected": sum(self.rejected.values()),
            **_spread("wait", wait),
            "waiting_share": float((wait > 0).mean()) if len(wait) else None,
            **_spread("bounded_slowdown", bounded_slowdown(wait, s.run)),
            "makespan": makespan,
            "utilisation": area / (self.cores * makespan) if makespan else None,
            "offered_load": load if np.isfinite(load) else None,
        }

    def save(self, folder: Path | str) -> None:
        """Write ``jobs.parquet``, ``timeline.parquet`` and, last, ``summary.json``."""
        folder = Path(folder)
        with writing(folder / "jobs.parquet") as path:
            self.jobs.collect().write_parquet(path)
        with writing(folder / "timeline.parquet") as path:
            self.timeline.write_parquet(path)
        document = {
            "gridtwin": gridtwin.__version__,
            "summary": self.summary(),
            "definitions": DEFINITIONS,
            "rejections": dict(self.rejected),
            "platform": self.platform.to_dict(),
            "provenance": self.jobs.provenance.to_json(),
        }
        with writing(folder / "summary.json") as path:
            path.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")

    def _names(self, site: NDArray[np.int64]) -> pl.Series:
        return pl.Series(self.platform.names, dtype=pl.String).gather(site)


def _spread(name: str, values: NDArray[np.float64]) -> dict[str, float | None]:
    keys = (f"mean_{name}", f"median_{name}", f"p95_{name}")
    if not len(values):
        return dict.fromkeys(keys)
    figures = (values.mean(), np.median(values), np.quantile(values, 0.95))
    return {key: float(figure) for key, figure in zip(keys, figures, strict=True)}
