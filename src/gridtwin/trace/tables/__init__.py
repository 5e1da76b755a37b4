"""Tables that the package ships: error codes, sites, queues, PanDA's columns, dataset names.

Figures of sites and generator parameters are mostly estimates; the columns ``figure_status`` and
``source_note`` and the keys ``src`` say which (P published, D derived, C from public code,
E estimate). An estimate is good for a default, and is called one wherever it is shown.
"""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from gridtwin.core.errors import FormatError, InputError

__all__ = [
    "dataset_names",
    "error_codes",
    "generator_params",
    "panda_columns",
    "queue_map",
    "read_queue_map",
    "sites",
]

_QUEUES = ("queue", "site", "kind", "atlas_site")


@cache
def error_codes() -> pl.DataFrame:
    """Return PanDA's 381 error codes, one a row.

    Columns: word ("component:code"), component, code, name, description, stage, source. The stage
    is the phase of the job's life that a code speaks of (ours: the monitor's own categories are
    not public). Codes mean nothing without their component.
    """
    frame = _csv("error_codes.csv").with_columns(
        pl.concat_str("component", "code", separator=":").alias("word"),
        pl.col("code").cast(pl.Int64),
    )
    return frame.select("word", pl.exclude("word"))


@cache
def sites() -> pl.DataFrame:
    """Return 83 PanDA queues with their site, country, tier, size, speed, disk and position.

    Columns: queue, site, country, tier, cores, hs23_per_core, disk_tb, wan_gbps, figure_status,
    cloud, kind, lat, lon, source_note. Several queues of one site may share hardware: rows of the
    kinds VP, direct and test must not be added to that of their site.
    """
    whole = ("tier", "cores", "disk_tb")
    real = ("hs23_per_core", "wan_gbps", "lat", "lon")
    return _csv("sites.csv").with_columns(
        pl.col(whole).cast(pl.Int64), pl.col(real).cast(pl.Float64)
    )


@cache
def queue_map() -> pl.DataFrame:
    """Return which site a PanDA queue belongs to: queue, site, kind, atlas_site; one row a queue.

    ``kind``: unified, VP (reads through a cache, no storage of its own), direct, HPC or test.
    ``atlas_site`` is the site's name in network and storage tables, null where it is not known.
    """
    return _csv("queue_map.csv")


def read_queue_map(path: Path | str) -> pl.DataFrame:
    """Return the shipped map of queues with the rows of a CSV file in place of, or beside, its own.

    The file has the columns ``queue`` and ``site``, and may have ``kind`` and ``atlas_site``.
    Raises `InputError` if it is not there, `FormatError` if it is no such table, names a queue
    twice or leaves a name empty.
    """
    path = Path(path)
    try:
        own = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        raise InputError(f"no file {str(path)!r}: give a CSV with queue and site") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FormatError(f"{path} is no readable CSV of queue and site: {error}") from error
    missing = [name for name in ("queue", "site") if name not in own.columns]
    if missing:
        raise FormatError(
            f"{path} lacks the columns {', '.join(missing)}; expected queue,site[,kind,atlas_site],"
            f" got {', '.join(own.columns)[:200]}"
        )
    own = own.select(name for name in _QUEUES if name in own.columns)
    own = own.with_columns(pl.all().str.strip_chars())
    if own.select(pl.any_horizontal(pl.col("queue", "site").fill_null("") == "").any()).item():
        raise FormatError(f"{path} has rows without a queue or a site; fill or remove them")
    twice = own.filter(pl.col("queue").is_duplicated())["queue"].unique().sort().to_list()
    if twice:
        raise FormatError(f"{path} names a queue more than once: {', '.join(twice[:10])}")
    rest = queue_map().join(own, on="queue", how="anti")
    return pl.concat([own, rest], how="diagonal").select(_QUEUES)


@cache
def panda_columns() -> pl.DataFrame:
    """Return the 127 columns of PanDA's job archive, one a row.

    Columns: column, oracle_type, unit, role, meaning, field; ``field`` is the canonical
    field that is read from the column, null where none is.
    """
    return _csv("panda_columns.csv")


@cache
def dataset_names() -> pl.DataFrame:
    """Return 36 dataset names with their parts: the reading that `datasets.parse` agrees with."""
    return _csv("dataset_names.csv")


def generator_params() -> dict[str, Any]:
    """Return the parameters of PanDA-like example records, each with its source (``src``)."""
    params: dict[str, Any] = json.loads(_bytes("generator_params.json"))
    return params


def _bytes(name: str) -> bytes:
    return files("gridtwin.trace.tables").joinpath(name).read_bytes()


def _csv(name: str) -> pl.DataFrame:
    """Return a shipped table, all columns as text; an empty cell is null."""
    return pl.read_csv(_bytes(name), infer_schema=False)
