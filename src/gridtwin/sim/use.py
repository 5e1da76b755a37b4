"""What a result says of links and storages over time, and the result in others' forms."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import UnknownNameError
from gridtwin.sim.platform import Platform
from gridtwin.trace import JobTable

if TYPE_CHECKING:
    from gridtwin.sim.result import Result

__all__ = ["TRANSFERS", "Format", "check_formats", "crossed", "export", "links", "stored"]

Format = Literal["cgsim", "cgsim_data", "batsim", "dcsim"]
Edges = NDArray[np.float64]

TRANSFERS = {
    "job_id": pl.String,
    "attempt": pl.Int64,
    "file": pl.String,
    "bytes": pl.Float64,
    "source": pl.String,
    "destination": pl.String,
    "start": pl.Float64,
    "end": pl.Float64,
    "kind": pl.String,
}
"""Columns of the frame of transfers; ``kind`` is stage_in, stream or output."""

_LINKS = {"time": pl.Float64, "link": pl.String, "rate": pl.Float64, "use": pl.Float64}
_STORED = {"time": pl.Float64, "site": pl.String, "bytes": pl.Float64}


def links(transfers: pl.DataFrame, platform: Platform, edges: Edges) -> pl.DataFrame:
    """Return the mean rate on each link in the bins between `edges`: see `Result.links`."""
    bins = len(edges) - 1
    moved = transfers.filter(
        (pl.col("source") != pl.col("destination")) & (pl.col("end") > pl.col("start"))
    )
    if bins < 1 or not moved.height:
        return pl.DataFrame(schema=_LINKS)
    area: dict[str, NDArray[np.float64]] = {}
    for (source, destination), part in moved.partition_by(
        "source", "destination", as_dict=True
    ).items():
        carried = _carried(part, edges)
        for name in crossed(platform, str(source), str(destination)):
            area[name] = area.get(name, np.zeros(len(edges))) + carried
    width = {link.name: link.bandwidth for link in platform.links}
    parts = []
    for name in sorted(area):
        rate = np.diff(area[name]) / np.diff(edges)
        most = width[name.removesuffix(":up").removesuffix(":down")]
        values = {"time": edges[:-1], "link": [name] * bins, "rate": rate, "use": rate / most}
        parts.append(pl.DataFrame(values, schema=_LINKS))
    return pl.concat(parts)


def crossed(platform: Platform, source: str, destination: str) -> list[str]:
    """Return the links of a route, those inside its end points too."""
    lans = {site.name: site.lan for site in platform.sites}
    split = {link.name for link in platform.links if link.sharing == "split"}
    names = list(platform.route(source, destination))
    for node, way in ((source, ":up"), (destination, ":down")):
        if lan := lans.get(node):
            names.append(lan + way if lan in split else lan)
    return names


def _carried(transfers: pl.DataFrame, edges: Edges) -> Edges:
    """Return the bytes that had been moved by each edge, each transfer at an even rate."""
    start, end = transfers["start"].to_numpy(), transfers["end"].to_numpy()
    rate = transfers["bytes"].to_numpy() / (end - start)
    out = np.zeros(len(edges))
    for time, change in ((start, rate), (end, -rate)):
        order = np.argsort(time)
        time, change = time[order], change[order]
        speed = np.concatenate([[0.0], np.cumsum(change)])
        offset = np.concatenate([[0.0], np.cumsum(change * time)])
        at = np.searchsorted(time, edges, side="right")
        out += speed[at] * edges - offset[at]
    return out


def stored(
    jobs: JobTable, local: JobTable | None, platform: Platform, edges: Edges
) -> pl.DataFrame:
    """Return what had been written at each site by the end of each bin: see `Result.stored`."""
    tables = [table for table in (jobs, local) if table is not None and "output_bytes" in table]
    if len(edges) < 2 or not tables:
        return pl.DataFrame(schema=_STORED)
    columns = ["site", "end_time", "output_bytes"]
    rows = pl.concat([table.collect(columns) for table in tables]).drop_nulls().sort("end_time")
    parts = []
    for name in platform.names:
        here = rows.filter((pl.col("site") == name) & (pl.col("output_bytes") > 0))
        total = np.concatenate([[0.0], np.cumsum(here["output_bytes"].to_numpy())])
        if here.height:
            at = np.searchsorted(here["end_time"].to_numpy(), edges[1:], side="right")
            values = {"time": edges[1:], "site": [name] * len(at), "bytes": total[at]}
            parts.append(pl.DataFrame(values, schema=_STORED))
    return pl.concat(parts) if parts else pl.DataFrame(schema=_STORED)


def check_formats(names: Sequence[str]) -> tuple[Format, ...]:
    """Return the names as they are; raise `UnknownNameError` if there is no such form."""
    for name in names:
        if name not in get_args(Format):
            raise UnknownNameError("format", name, get_args(Format))
    return tuple(names)  # type: ignore[arg-type]


def export(result: "Result", folder: Path, form: Format) -> None:
    """Write a result as other simulators do.

    ``cgsim``, ``cgsim_data``: CGSim's events in its two forms, ``events.sqlite`` and
    ``events_data.sqlite``; ``batsim``: Batsim's ``jobs.csv``; ``dcsim``: DCSim's ``results.csv``.
    """
    from gridtwin.sim.formats.batsim_jobs import write_jobs
    from gridtwin.sim.formats.cgsim_events import write_events
    from gridtwin.sim.formats.dcsim_measures import finished, measures
    from gridtwin.sim.formats.dcsim_results import write_results

    check_formats([form])
    if form == "batsim":
        write_jobs(result.jobs, folder / "jobs.csv")
        return
    if form == "dcsim":
        write_results(finished(result.jobs), folder / "results.csv", measures(result))
        return
    frame, moved = result.jobs.collect(), result.transfers
    if result.base is not None:  # all attempts of a job have its name
        frame = frame.with_columns(job_id=result.base)
        named = pl.DataFrame(
            {"job_id": result.jobs.collect(["job_id"])["job_id"], "of": result.base}
        )
        moved = moved.join(named, on="job_id").with_columns(job_id="of").drop("of")
    write_events(
        result.jobs.with_frame(frame),
        folder / ("events.sqlite" if form == "cgsim" else "events_data.sqlite"),
        form="track4" if form == "cgsim" else "data_management",
        platform=result.platform,
        transfers=moved,
    )
