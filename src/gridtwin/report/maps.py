"""A small map of sites by country: no request, no tiles."""

from collections.abc import Mapping, Sequence

import altair as alt
import polars as pl

from gridtwin.report.land import COUNTRIES, LAND
from gridtwin.report.theme import COLORS, Chart, styled
from gridtwin.trace import tables

__all__ = ["by_country", "countries", "site_map"]

_EUROPE = ((-12.0, 42.0), (34.0, 66.0))
_WORLD = ((-130.0, 180.0), (-50.0, 74.0))
_INSET = 5
"""Europe is drawn by itself from so many of its countries on."""


def countries(
    sites: Sequence[str], known: Mapping[str, str | None] | None = None
) -> dict[str, str]:
    """Return the country of each site: as the platform has it, else of the shipped table of sites.

    Sites of no country that the map knows are left out.
    """
    table = tables.sites()
    shipped = dict(table.select("queue", "country").iter_rows())
    shipped |= dict(table.select("site", "country").iter_rows())
    found = {}
    for site in sites:
        code = str((known or {}).get(site) or shipped.get(site) or "").upper()
        code = "GB" if code == "UK" else code
        if code in COUNTRIES:
            found[site] = code
    return found


def by_country(sites: pl.DataFrame, country: Mapping[str, str]) -> pl.DataFrame:
    """Return figures of sites summed over countries.

    Parameters
    ----------
    sites
        ``site``, ``size`` and other sums.
    country
        Code by site, of `countries`.

    Returns
    -------
    frame
        ``country`` (code), ``name``, ``north``, ``east`` (degrees), ``sites`` (how many) and the
        sums; the largest first.
    """
    sums = [name for name in sites.columns if name != "site"]
    schema = {"country": pl.String, "name": pl.String, "north": pl.Float64, "east": pl.Float64}
    codes = {code: (code, name, *at) for code, (*at, name) in COUNTRIES.items()}
    places = pl.DataFrame([codes[c] for c in set(country.values())], schema=schema, orient="row")
    coded = sites.with_columns(
        country=pl.col("site").replace_strict(dict(country), default=None, return_dtype=pl.String)
    ).drop_nulls("country")
    added = coded.group_by("country").agg(pl.len().alias("sites"), *(pl.col(s).sum() for s in sums))
    return places.join(added, on="country").sort("size", "country", descending=[True, False])


def site_map(frame: pl.DataFrame, title: str) -> Chart:
    """Draw a dot for each country, its area as `size`; Europe by itself where it has many.

    Parameters
    ----------
    frame
        Of `by_country`.
    title
        What the size is, with its unit.
    """
    (west, east), (south, north) = _EUROPE
    inside = pl.col("east").is_between(west, east) & pl.col("north").is_between(south, north)
    europe = frame.filter(inside)
    if europe.height < _INSET:
        return styled(_part(frame, title, _WORLD, 900, (110, 1800), named=frame))
    rest = frame.filter(~inside)
    world = _part(frame, title, _WORLD, 560, (110, 1100), named=rest)
    return styled(alt.hconcat(world, _part(europe, title, _EUROPE, 330, (110, 1300), named=europe)))


def _part(
    frame: pl.DataFrame,
    title: str,
    bounds: tuple[tuple[float, float], tuple[float, float]],
    width: int,
    area: tuple[int, int],
    *,
    named: pl.DataFrame,
) -> alt.LayerChart | alt.FacetChart:
    (west, east), (south, north) = bounds
    squeeze = 0.62 if bounds is _EUROPE else 1.0  # a degree east is that much of one north
    height = round(width * (north - south) / (east - west) / squeeze)
    across = alt.X("east:Q", axis=None, scale=alt.Scale(domain=[west, east], nice=False))
    up = alt.Y("north:Q", axis=None, scale=alt.Scale(domain=[south, north], nice=False))
    land = (
        alt.Chart(_land())
        .mark_line(fill="#e3e7ea", stroke=None, clip=True)
        .encode(x=across, y=up, detail="ring:N", order="k:O")
    )
    most = float(frame["size"].max() or 1.0)  # type: ignore[arg-type]
    told = [most / 10, most / 3, most]
    size = alt.Size(
        "size:Q",
        title=title,
        scale=alt.Scale(range=list(area), zero=True),
        legend=alt.Legend(orient="bottom", direction="horizontal", values=told, format=".2~s"),
    )
    dots = (
        alt.Chart(frame)
        .mark_circle(color=COLORS["real"], opacity=0.45, stroke=COLORS["real"], clip=True)
        .encode(x=across, y=up, size=size)
    )
    text = alt.Chart(named).mark_text(fontSize=10, color="#444", fontWeight="bold", clip=True)
    return alt.layer(land, dots, text.encode(x=across, y=up, text="country:N")).properties(
        width=width, height=height
    )


def _land() -> pl.DataFrame:
    rows = []
    for ring, text in enumerate(LAND):
        numbers = [float(part) for part in text.split()]
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        rows += [(ring, k, *pair) for k, pair in enumerate([*pairs, pairs[0]])]
    schema = {"ring": pl.Int64, "k": pl.Int64, "east": pl.Float64, "north": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
