"""A grid like WLCG: sites of the shipped table, joined by LHCONE and LHCOPN.

Each site has one link up to the exchange point of LHCONE in its region; the exchange points are
joined pairwise. Tier-0 and Tier-1 sites have a second link, to LHCOPN, which they use among
themselves. A route is thus the source's link, the backbone between the regions, and the
destination's link.
"""

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import polars as pl

from gridtwin.core.errors import InputError
from gridtwin.core.seeds import generator
from gridtwin.sim.builders.geography import one_way
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage
from gridtwin.sim.units import FLOPS_PER_HS23
from gridtwin.trace import tables

__all__ = ["HUBS", "wlcg"]

HUBS = {
    "LHCONE-EU": (46.23, 6.05),
    "LHCONE-NA": (41.88, -87.63),
    "LHCONE-AS": (35.69, 139.69),
    "LHCONE-SA": (-23.55, -46.63),
    "LHCONE-AU": (-37.81, 144.96),
    "LHCONE-AF": (-26.20, 28.05),
}
"""Exchange points, one a region, and their positions: an assumption of this builder."""

_LHCOPN = (46.23, 6.05)
_BACKBONE = 400e9 / 8
_DOOR = {0: 20e9, 1: 20e9, 2: 3e9, 3: 3e9}
_OWN_HARDWARE = ("unified", "HPC")


@dataclass(frozen=True)
class _Place:
    """A site of the table, its queues put together."""

    name: str
    country: str
    tier: int
    cores: int
    hs23: float
    disk: float
    wan: float
    position: tuple[float, float]


def wlcg(
    sites: int | None = None,
    *,
    speed: float | None = None,
    usable: float = 0.4,
    seed: int = 0,
) -> Platform:
    """Return a synthetic grid of so many sites.

    Parameters
    ----------
    sites
        None: all of the table. Fewer: the first by tier and size. More: Tier-2 and Tier-3 sites
        of the table again, drawn with `seed`, with cores and disk times lognormal noise of sigma
        0.3, as ``<name>~2`` and so on.
    speed
        flop/s per core of every site; None: by the table's HS23.
    usable
        Share of a site's network capacity that its transfers can use.

    Nearly all figures are estimates, as the platform's notes say.
    """
    if sites is not None and sites < 1:
        raise InputError(f"{sites} sites; give 1 or more")
    if not 0 < usable <= 1:
        raise InputError(f"usable: expected a share above 0, up to 1, got {usable}")
    table = _places()
    places = table[:sites] + _resampled(table, (sites or 0) - len(table), seed)
    estimated = tables.sites()["figure_status"].str.count_matches("=E")
    notes = (
        f"a synthetic grid like WLCG: {len(places)} sites, {min(len(places), len(table))} of them "
        f"from the shipped table, where {int(estimated.sum())} of {4 * len(estimated)} figures are "
        "estimates",
        "queues that share their site's hardware (VP, direct, test) are left out; others are "
        "added up",
        f"network: {usable:g} of each site's capacity, latencies from positions, regional exchange "
        "points that do not limit: estimates",
        "storage doors of 20 GB/s (Tier-0, Tier-1) and 3 GB/s: estimates",
    )
    links, routes = _network(places, usable)
    return Platform(
        tuple(_site(place, speed) for place in places),
        links,
        routes,
        (*HUBS, "LHCOPN"),
        notes if speed is None else (*notes, f"speed: {speed:g} flop/s per core, as asked for"),
    )


def _places() -> list[_Place]:
    """Return the sites of the shipped table by tier and size."""
    own = tables.sites().filter(pl.col("kind").is_in(_OWN_HARDWARE))
    merged = own.group_by("site", maintain_order=True).agg(
        pl.col("country", "lat", "lon").first(),
        pl.col("tier").min(),
        pl.col("cores", "disk_tb").sum(),
        hs23=(pl.col("hs23_per_core") * pl.col("cores")).sum() / pl.col("cores").sum(),
        wan=pl.col("wan_gbps").max(),
    )
    return [
        _Place(
            name=row["site"],
            country=row["country"],
            tier=row["tier"],
            cores=row["cores"],
            hs23=row["hs23"],
            disk=row["disk_tb"] * 1e12,
            wan=row["wan"] * 1e9 / 8,
            position=(row["lat"], row["lon"]),
        )
        for row in merged.sort("tier", "cores", "site", descending=[False, True, False]).iter_rows(
            named=True
        )
    ]


def _resampled(table: list[_Place], more: int, seed: int) -> list[_Place]:
    """Return `more` Tier-2 and Tier-3 sites like those of the table."""
    if more <= 0:
        return []
    rng = generator(seed)
    small = [place for place in table if place.tier >= 2]
    copies: dict[str, int] = {}
    out = []
    for k in rng.integers(len(small), size=more):
        place = small[k]
        copies[place.name] = copies.get(place.name, 1) + 1
        out.append(
            replace(
                place,
                name=f"{place.name}~{copies[place.name]}",
                cores=max(1, round(place.cores * float(rng.lognormal(0, 0.3)))),
                disk=float(np.rint(place.disk / 1e12 * rng.lognormal(0, 0.3))) * 1e12,
            )
        )
    return out


def _site(place: _Place, speed: float | None) -> Site:
    speed = place.hs23 * FLOPS_PER_HS23 if speed is None else speed
    door = _DOOR[place.tier]
    disk = Storage(f"{place.name}_DATADISK", capacity=place.disk, read=door, write=door)
    return Site(
        place.name,
        (Pool(place.cores, speed=float(f"{speed:.4g}")),),
        (disk,),
        country=place.country,
        tier=place.tier,
    )


def _network(places: list[_Place], usable: float) -> tuple[tuple[Link, ...], tuple[Route, ...]]:
    links = []
    for place in places:
        hub = min(HUBS, key=lambda name: one_way(place.position, HUBS[name]))
        latency = one_way(place.position, HUBS[hub], equipment=1e-3)
        name, bandwidth = f"{place.name}-LHCONE", place.wan * usable
        links.append(Link(name, bandwidth, latency, "split", (place.name, hub)))
    for a, b in combinations(HUBS, 2):
        latency = one_way(HUBS[a], HUBS[b], equipment=0.0)
        links.append(Link(f"{a}-{b}", _BACKBONE, latency, "fatpipe", (a, b)))
    top = [place for place in places if place.tier <= 1]
    for place in top:
        latency = one_way(place.position, _LHCOPN, equipment=1e-3)
        name, bandwidth = f"{place.name}-LHCOPN", place.wan * usable
        links.append(Link(name, bandwidth, latency, "split"))
    routes = [
        Route(a.name, b.name, (f"{a.name}-LHCOPN:up", f"{b.name}-LHCOPN:down"))
        for a, b in combinations(top, 2)
    ]
    return tuple(links), tuple(routes)
