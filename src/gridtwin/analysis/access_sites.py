"""Which site a storage end point (RSE) belongs to, and whether it is a tape store."""

import re

import polars as pl

from gridtwin.analysis.access_base import Column, Frame, checked
from gridtwin.analysis.base import collect
from gridtwin.core.errors import SchemaError
from gridtwin.trace import tables

__all__ = ["RSES", "end_points", "rse_sites"]

RSES: dict[str, Column] = {"rse": "text", "site": "text", "rse_type": "text"}
_TOKEN = re.compile(r"_[A-Z0-9-]*(?:DISK|TAPE)(?:[-_].*)?$")


def rse_sites(names: pl.Series, rses: Frame | None = None) -> pl.DataFrame:
    """Return rse, site, tape and how ("table", "name", "unmatched") for each distinct name.

    Parameters
    ----------
    names
        Names of end points; null and empty ones are left out.
    rses
        Table with ``rse`` and ``site``, and ``rse_type`` (DISK, TAPE) if there is one. What it
        does not have is read from the name: without its token (``_DATADISK``) it is a site or the
        longest site that it begins with, by the shipped map of queues.
    """
    known = _table(rses)
    sites = _by_name()
    rows = []
    for name in names.cast(pl.String).drop_nulls().unique().sort().to_list():
        if not name:
            continue
        site, tape = known.get(name, (None, None))
        how = "table"
        if site is None:
            site = _site_of(name, sites)
            how = "unmatched" if site is None else "name"
        # the type of the table comes before what the name says
        rows.append((name, site, _taped(name) if tape is None else tape, how))
    schema = {"rse": pl.String, "site": pl.String, "tape": pl.Boolean, "how": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def end_points(rows: pl.LazyFrame, rses: Frame | None, *columns: str) -> pl.LazyFrame:
    """Return rse, site and tape of each end point that the columns name, see `rse_sites`."""
    names = pl.concat([rows.select(pl.col(name).unique().alias("rse")) for name in columns])
    return rse_sites(collect(names)["rse"], rses).lazy().select("rse", "site", "tape")


def _table(rses: Frame | None) -> dict[str, tuple[str | None, bool | None]]:
    if rses is None:
        return {}
    frame = checked(
        rses,
        "storage end points",
        RSES,
        optional=("rse_type",),
    ).collect()
    frame = frame.drop_nulls("rse").unique(maintain_order=True)
    twice = frame.filter(pl.col("rse").is_duplicated())["rse"].unique().sort().to_list()
    if twice:
        raise SchemaError(
            f"storage end points of two sites or types: {', '.join(twice[:10])}; keep one row each"
        )
    return {
        rse: (site, None if kind is None else kind.upper() == "TAPE")
        for rse, site, kind in frame.iter_rows()
    }


def _by_name() -> dict[str, str | None]:
    """Return the site by each name that one has, in capitals; None for names of several sites."""
    found: dict[str, str | None] = {}
    queues = tables.queue_map()
    pairs = [(site, site) for site in queues["site"]]
    pairs += list(queues.select("atlas_site", "site").drop_nulls().iter_rows())
    for name, site in pairs:
        key = name.upper()
        found[key] = site if found.get(key, site) == site else None
    return found


def _taped(rse: str) -> bool:
    token = _TOKEN.search(rse)
    return token is not None and "TAPE" in token.group()


def _site_of(rse: str, sites: dict[str, str | None]) -> str | None:
    stem = _TOKEN.sub("", rse).upper()
    while stem:
        if stem in sites:
            return sites[stem]
        stem = re.sub(r"[-_.]?[^-_.]*$", "", stem)  # one part less: BNL-OSG2 is of BNL
    return None
