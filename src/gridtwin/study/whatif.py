"""What-ifs: how a scenario differs in its jobs, its platform, what goes wrong, and when.

Times count in days from the midnight (UTC) before the first job. Several keys work together, in the
order of the fields of `WhatIf`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar

import numpy as np
import polars as pl
from pydantic import BeforeValidator, Field, model_validator

from gridtwin.sim import Faults, Outage, Platform, outages
from gridtwin.study.jobs import DAY, Given, added, loaded, removed, renewed
from gridtwin.study.platforms import site_of, with_links, with_site, with_storages
from gridtwin.study.scenarios import (
    SOURCE,
    Broker,
    Days,
    Name,
    Number,
    Positive,
    Queue,
    Share,
    Table,
    quantities,
)
from gridtwin.trace.readers import read

__all__ = ["Storm", "Switch", "WhatIf", "change_faults", "change_jobs", "change_platform"]

T = TypeVar("T")
_NEVER = 1e-300
"""A chance that is no 0, so that the kernel keeps a table of them, and never comes true."""


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Many = Annotated[tuple[T, ...], BeforeValidator(_tuple)]
"""One, or a list of several."""
Since = Annotated[Number, Field(ge=0, le=36_525)]
Bandwidth = Annotated[float, quantities("bandwidth")]
Bytes = Annotated[float, quantities("bytes")]


class Span(Table):
    """A time: from `at_days` on, for `days` or for good."""

    at_days: Since = 0.0
    days: Days | None = None

    def within(self, begin: float) -> tuple[float, float]:
        """Return both ends in seconds of the jobs' clock."""
        start = begin + self.at_days * DAY
        return start, np.inf if self.days is None else start + self.days * DAY


class Load(Span):
    """So many times the jobs: whole tasks are sent again on other days, or left out."""

    factor: Positive


class Lost(Span):
    """Sites close: what runs there ends; their storages stay."""

    site: Many[Name]
    share: Annotated[Number, Field(gt=0, le=1)] = 1.0
    """Of the cores."""


class New(Span):
    """A site is added."""

    site: Name
    cores: Annotated[int, Field(ge=1)]
    speed: Annotated[float, quantities("speed")] | None = None
    """None: that of `like`, else the mean one."""
    like: Name | None = None
    """A site whose links and routes it has copies of; without, its data do not move."""


class LinkChange(Table):
    """A link, or all links of a site, is another from the beginning."""

    link: Name | None = None
    site: Name | None = None
    factor: Annotated[Number, Field(ge=0)] = 1.0
    bandwidth: Bandwidth | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.link is None) == (self.site is None):
            raise ValueError("expected one of link and site")
        return self


class StorageChange(Table):
    """The storages of a site, or one of them, are others from the beginning."""

    site: Name
    storage: Name | None = None
    factor: Annotated[Number, Field(ge=0)] = 1.0
    """Of the capacity."""
    capacity: Bytes | None = None
    read: Bandwidth | None = None
    write: Bandwidth | None = None


class Storm(Span):
    """More attempts fail, beside those that fail anyway."""

    chance: Share
    site: Many[Name] = ()
    """None: all sites."""


class Switch(Table):
    """Another policy from a time on."""

    at_days: Since
    broker: Broker | None = None
    queue: Annotated[str, Queue] | None = None
    site: Name | None = None
    """Whose queue; None: all."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.broker is None and self.queue is None:
            raise ValueError("expected broker, queue or both")
        if self.broker == "recorded":
            raise ValueError("broker recorded is for a whole run; it cannot be switched to")
        if self.broker is not None and self.site is not None:
            raise ValueError("a broker serves all sites; site goes with queue alone")
        return self


class Added(Span):
    """A user group comes: jobs like others', on other days, under a new name; or of a file."""

    name: Name = "new"
    like: dict[str, Many[Any]] | None = None
    """Column -> value or values."""
    load: Positive = 1.0
    """So many times the jobs that are like this."""
    records: Annotated[str | None, SOURCE] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.like is None) == (self.records is None):
            raise ValueError("expected one of like and records")
        return self


class Renewal(Table):
    """Data sets are replaced: later jobs read new ones, which lie elsewhere."""

    at_days: Since = 0.0
    share: Share = 1.0
    """Of the data sets, drawn by the seed."""
    factor: Positive = 1.0
    """Of their size."""
    sites: Many[Name] = ()
    """Where the new ones are, in turn; none: where the first job on them ran in the records."""


def _load(value: object) -> object:
    """Let a number stand for the factor."""
    return value if isinstance(value, dict) else {"factor": value}


class WhatIf(Table):
    """``[[whatif]]``: what differs from the base; nothing, where only a name is given."""

    lists: ClassVar[frozenset[str]] = frozenset(
        {"lost", "new", "outages", "link", "storage", "storm", "switch", "added", "renewal"}
    )
    removed: dict[str, Many[Any]] = Field(default_factory=dict)
    """Column -> value or values: jobs that have one of them are left out."""
    added: Many[Added] = ()
    load: Annotated[Load, BeforeValidator(_load)] | None = None
    renewal: Many[Renewal] = ()
    new: Many[New] = ()
    link: Many[LinkChange] = ()
    storage: Many[StorageChange] = ()
    lost: Many[Lost] = ()
    outages: Annotated[str | None, SOURCE] = None
    """A calendar, as ``gridtwin simulate --outages`` takes it, in the clock of the jobs."""
    storm: Many[Storm] = ()
    switch: Many[Switch] = ()


def change_jobs(
    whatif: WhatIf, given: Given, known: pl.DataFrame, root: Path, rng: np.random.Generator
) -> Given:
    """Return other jobs; `known` are jobs that names are looked for in, as a draw may lack some."""
    if whatif.removed:
        given = removed(given, whatif.removed, known, "whatif.removed")
    for one in whatif.added:
        span = one.within(given.begin)
        if one.records is not None:
            others = read(root / one.records)
            given = given.joined(others, span, f"@{one.name}")
        else:
            given = added(given, one.like or {}, known, one.name, one.load, span, rng)
    if whatif.load is not None:
        given = loaded(given, whatif.load.factor, whatif.load.within(given.begin), rng)
    for new in whatif.renewal:
        start = given.begin + new.at_days * DAY
        given = renewed(given, start, new.share, new.factor, new.sites, rng)
    return given


def change_platform(whatif: WhatIf, platform: Platform) -> Platform:
    """Return another platform."""
    for new in whatif.new:
        platform = with_site(platform, new.site, new.cores, new.speed, new.like)
    for link in whatif.link:
        platform = with_links(
            platform, link=link.link, site=link.site, factor=link.factor, bandwidth=link.bandwidth
        )
    for one in whatif.storage:
        platform = with_storages(
            platform,
            one.site,
            one.storage,
            factor=one.factor,
            capacity=one.capacity,
            read=one.read,
            write=one.write,
        )
    return platform


def change_faults(
    whatif: WhatIf, faults: Faults, platform: Platform, begin: float, root: Path
) -> Faults:
    """Return what else goes wrong."""
    found: list[Outage] = []
    for lost in whatif.lost:
        start, end = lost.within(begin)
        for site in lost.site:
            site_of(platform, site, "whatif.lost.site")
            found.append(Outage(site, start, end, 1.0 - lost.share))
    for new in whatif.new:
        start, end = new.within(begin)
        if start > begin:
            found.append(Outage(new.site, begin - DAY, start))
        if end < np.inf:
            found.append(Outage(new.site, end))
    if whatif.outages is not None:
        found += outages.load(root / whatif.outages)
    if found:
        faults = replace(faults, outages=(*faults.outages, *found))
    if whatif.storm:
        # a table of chances has to be there for the storm to change
        chance = faults.chance
        if not isinstance(chance, Mapping | float):
            raise TypeError("a study's chances are numbers, of all or by site")
        some = chance if isinstance(chance, Mapping) else dict.fromkeys(platform.names, chance)
        least = {name: max(some.get(name, 0.0), _NEVER) for name in platform.names}
        faults = replace(faults, chance=least)
    return faults
