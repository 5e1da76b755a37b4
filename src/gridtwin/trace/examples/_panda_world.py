"""What the jobs of the PanDA-like example live in: queues, load, incidents and the calendar.

All of it is drawn for the whole window before the first job. Shares, rates and lengths are our
estimates, but for the 83 queues (published number).
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.signal import lfilter

from gridtwin.trace import tables

__all__ = ["DAY", "HOUR", "Incidents", "World", "day_weights", "make_world"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HOUR, DAY = 3600.0, 86400.0
_ANALYSIS = {"BNL": 2.1, "CERN": 0.55, "CERN-T0": 0.06, "Vega": 0.25, "LRZ-LMU_TEST": 0.5}
"""How much more than its cores say a queue is used for analysis. BNL is published to be first."""
_TAIL = 16
"""Days after the window in which its jobs still wait and run."""
_INCIDENT_EVERY = 50.0
"""Days between two incidents of one site, on average."""
_KINDS: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("storage", 0.6, ("pilot:1099", "pilot:1361", "pilot:1137", "jobdispatcher:100")),
    ("network", 0.15, ("pilot:1361", "pilot:1368", "pilot:1151")),
    ("batch", 0.25, ("jobdispatcher:100", "taskbuffer:300", "pilot:1201")),
)


@dataclass(frozen=True)
class Incidents:
    """Times in which one site fails most of its jobs; sorted by site, then begin."""

    site: Ints
    begin: Floats
    end: Floats
    kind: Ints
    severity: Floats

    def at(self, site: Ints, time: Floats) -> Ints:
        """Return the incident that each site has at each time, -1 where it has none."""
        if not len(self.site):
            return np.full(len(site), -1, dtype=np.int64)
        wide = 1e10
        last = np.searchsorted(self.site * wide + self.begin, site * wide + time, "right") - 1
        near = np.maximum(last, 0)
        inside = (last >= 0) & (self.site[near] == site) & (time < self.end[near])
        return np.asarray(np.where(inside, near, -1), dtype=np.int64)

    def frame(self, sites: list[str]) -> pl.DataFrame:
        """Return site, begin, end, kind, codes and severity of each, in order of begin."""
        return pl.DataFrame(
            {
                "site": [sites[i] for i in self.site],
                "begin": self.begin,
                "end": self.end,
                "kind": [_KINDS[k][0] for k in self.kind],
                "codes": [list(_KINDS[k][2]) for k in self.kind],
                "severity": self.severity,
            },
            schema={
                "site": pl.String,
                "begin": pl.Float64,
                "end": pl.Float64,
                "kind": pl.String,
                "codes": pl.List(pl.String),
                "severity": pl.Float64,
            },
        ).sort("begin", "site")


@dataclass(frozen=True)
class World:
    """Queues and sites, numbered; how busy and how faulty they are; times in s from the start."""

    start: float
    """First second of the window, UTC epoch."""
    days: int
    queues: list[str]
    sites: list[str]
    site_of: Ints
    """Site of each queue."""
    cached: NDArray[np.bool_]
    """Queues that read through a cache."""
    core_power: Floats
    """HS23 per core of each queue, as PanDA has it: 10 where nobody set it."""
    weight: Floats
    """How much each queue is used for analysis; they add up to 1."""
    disk: Floats
    """Share of the replicas on disk that each site has."""
    tape: Ints
    """Sites with a tape store."""
    failure: Floats
    """How much likelier than usual each site fails a job: 0.5 to 3, 1 on average."""
    load: NDArray[np.float32]
    """Load of each site in each hour, in standard deviations."""
    incidents: Incidents


def make_world(start: dt.date, days: int, rng: np.random.Generator) -> World:
    """Draw the queues' properties, the sites' load by hour, and the incidents."""
    table = tables.sites()
    sites = sorted(set(table["site"]))
    number = {name: i for i, name in enumerate(sites)}
    site_of = np.array([number[name] for name in table["site"]])
    tiers = table["tier"].to_numpy()
    weight = table["cores"].to_numpy() * np.array([_ANALYSIS.get(q, 1.0) for q in table["queue"]])
    weight /= weight.sum()
    disk = np.bincount(site_of, np.maximum(table["disk_tb"].to_numpy(), 20) ** 0.85)
    top = np.argmax(disk)  # CERN keeps more than analysis asks of it
    disk[top] *= 0.7
    failure = np.clip(rng.lognormal(-0.1, 0.45, len(sites)), 0.5, 3.0)
    use = np.bincount(site_of, weight)
    power = np.rint(table["hs23_per_core"].to_numpy() * rng.uniform(0.93, 1.07, table.height))
    unset = rng.random(table.height) < 0.15
    return World(
        start=dt.datetime.combine(start, dt.time(), dt.UTC).timestamp(),
        days=days,
        queues=table["queue"].to_list(),
        sites=sites,
        site_of=site_of,
        cached=(table["kind"] == "VP").to_numpy(),
        core_power=np.where(unset, 10.0, power),
        weight=weight,
        disk=disk / disk.sum(),
        tape=np.unique(site_of[tiers <= 1]),
        failure=failure / (failure @ use),
        load=_load(len(sites), days, rng),
        incidents=_incidents(len(sites), days, rng),
    )


def day_weights(start: dt.date, days: int, rng: np.random.Generator) -> Floats:
    """Return how many sessions each day has, relative to the mean: week, season and noise.

    Noise is lognormal AR(1): sigma 0.35, rho 0.6 from day to day; tasks of all sizes add to it.
    """
    dates = [start + dt.timedelta(days=i) for i in range(days)]
    week = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.55, 0.6])
    noise = _ar1(rng.standard_normal(days), 0.6, rng.standard_normal()) * 0.35
    season = np.array([_season(date) for date in dates])
    weight = week[[date.weekday() for date in dates]] * season * np.exp(noise)
    return np.asarray(weight / weight.mean())


def _season(date: dt.date) -> float:
    """Return how busy a date is: holidays are quiet, weeks before conferences busy."""
    easter = _easter(date.year)
    new_year = (date.month, date.day) <= (1, 6) or (date.month, date.day) >= (12, 23)
    if new_year or -2 <= (date - easter).days <= 1:
        return 0.45
    for month, day in ((3, 20), (7, 10)):  # Moriond; the large summer conferences
        ahead = (dt.date(date.year, month, day) - date).days
        if 0 <= ahead < 28:
            return 1.0 + 0.4 * (1 - ahead / 28)
    return 1.0


def _easter(year: int) -> dt.date:
    """Return Easter Sunday of the Gregorian calendar (Meeus, Astronomical Algorithms, 1991)."""
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    rest = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    m = (a + 11 * h + 22 * rest) // 451
    month, day = divmod(h + rest - 7 * m + 114, 31)
    return dt.date(year, month, day + 1)


def _ar1(innovations: Floats, rho: float, first: Floats | float) -> Floats:
    """Return an AR(1) series of unit variance along the last axis."""
    scaled = innovations * np.sqrt(1 - rho**2)
    scaled[..., 0] = first
    return np.asarray(lfilter([1.0], [1.0, -rho], scaled, axis=-1))


def _load(sites: int, days: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return an AR(1) series by hour for each site, with a memory of 12 hours."""
    hours = (days + _TAIL) * 24
    series = [
        _ar1(rng.standard_normal(hours), float(np.exp(-1 / 12)), rng.standard_normal())
        for _ in range(sites)
    ]
    return np.array(series, dtype=np.float32)


def _incidents(sites: int, days: int, rng: np.random.Generator) -> Incidents:
    """Draw incidents of 2-12 h; none begins while its site has another."""
    count = rng.poisson(days / _INCIDENT_EVERY, sites)
    site = np.repeat(np.arange(sites), count)
    begin = np.floor(rng.random(len(site)) * days * DAY)
    order = np.lexsort((begin, site))
    site, begin = site[order], begin[order]
    end = begin + np.floor(rng.uniform(2, 12, len(site)) * HOUR)
    kind = rng.choice(len(_KINDS), len(site), p=[share for _, share, _ in _KINDS])
    severity = np.round(rng.uniform(0.5, 0.95, len(site)), 2)
    apart = np.ones(len(site), dtype=bool)
    apart[1:] = (site[1:] != site[:-1]) | (begin[1:] > end[:-1])
    return Incidents(site[apart], begin[apart], end[apart], kind[apart], severity[apart])
