"""Which files the jobs of a table read, and where those files are."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.sim.platform import Platform
from gridtwin.sim.workload import Files
from gridtwin.trace.chains import roots

__all__ = ["Inputs", "inputs_of"]

Whole = NDArray[np.int64]

_ID = ("job_id", "pandaid", "appid")
_FILE = ("file", "lfn", "filename")
_BYTES = ("bytes", "fsize", "filesize")


@dataclass(frozen=True)
class Inputs:
    """Lists of files as in `gridtwin.sim.workload.Workload`, and what has no place in them."""

    ptr: Whole
    file: Whole
    files: Files
    notes: tuple[str, ...]


def inputs_of(
    table: pl.DataFrame,
    platform: Platform,
    *,
    files: pl.DataFrame | None = None,
    replicas: pl.DataFrame | None = None,
    origin: tuple[str, ...] = (),
) -> Inputs:
    """Return what each row of a table of jobs reads.

    Parameters
    ----------
    table
        Jobs in the order of the workload.
    files
        A row for each file of a job: ``job_id`` (or ``pandaid``), ``lfn`` (or ``file``), ``bytes``
        (or ``fsize``); ``type`` other than input is left out. None: a job with ``input_bytes``
        reads one file of that size. Jobs of the same ``dataset``, the same size and the same place
        among the jobs of their task read the same file, so that a second task on a data set finds
        what the first one brought; a retry reads what the first attempt read.
    replicas
        Where files are: ``site`` and ``lfn`` (or ``file``), or ``dataset`` for all files of one. If
        there are such columns, only ``state`` A counts, and what was deleted before the first job.
    origin
        Nodes that have all files which are nowhere else. None: the site of the first record that
        read it has it.

    What is known to be nowhere is not read, and counted in the notes. Memory: about 150 bytes for
    each input.
    """
    read = _implied(table) if files is None else _listed(table, files)
    first = read.group_by("name", "bytes", maintain_order=True).first().with_row_index("number")
    place = {name: k for k, name in enumerate([*platform.names, *platform.routers])}
    for name in origin:
        if name not in place:
            raise InputError(
                f"origin: there is no site or router {name!r} in the platform; add it or correct it"
            )
    known, notes = _replicas(table, first, platform, replicas, place)
    homeless = first.join(known, on="number", how="anti")
    if origin:
        rest = homeless.select("number").join(pl.DataFrame({"site": list(origin)}), how="cross")
    elif "site" in table.columns:
        rest = homeless.select("number", site=table["site"].gather(homeless["row"]))
    else:
        rest = known.clear()
    rest = rest.filter(pl.col("site").is_in(list(place)))
    known = pl.concat([known, rest]).sort("number", maintain_order=True)
    lost = first.join(known, on="number", how="anti").height
    if lost:
        notes.append(
            f"{lost} of {first.height} input files are at no known site and are not read; give "
            "replicas, or an origin"
        )
    first = first.join(known, on="number", how="semi").drop("number").with_row_index("number")
    return _arrays(table, read, first, known, place, tuple(notes))


def _arrays(
    table: pl.DataFrame,
    read: pl.DataFrame,
    first: pl.DataFrame,
    known: pl.DataFrame,
    place: dict[str, int],
    notes: tuple[str, ...],
) -> Inputs:
    """Give the files that are somewhere numbers, and make the lists."""
    codes = known["number"].rle_id().cast(pl.Int64)  # sorted, and without the files that are lost
    entries = read.join(
        first.select("name", "bytes", "number"), on=["name", "bytes"], maintain_order="left"
    )
    entries = entries.sort("row", maintain_order=True)
    counts = np.bincount(entries["row"].to_numpy(), minlength=table.height)
    return Inputs(
        ptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        file=entries["number"].cast(pl.Int64).to_numpy(),
        files=Files(
            bytes=first["bytes"].cast(pl.Float64).to_numpy(),
            names=first["name"].to_list(),
            replica_file=codes.to_numpy(),
            replica_node=known["site"].replace_strict(place, return_dtype=pl.Int64).to_numpy(),
        ),
        notes=notes,
    )


def _column(frame: pl.DataFrame, names: tuple[str, ...], what: str) -> pl.Expr:
    for name in names:
        if name in frame.columns:
            return pl.col(name)
    raise SchemaError(f"{what} need a column {' or '.join(names)}; got {', '.join(frame.columns)}")


def _listed(table: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a frame of files that are inputs of the jobs."""
    if "type" in files.columns:
        files = files.filter(pl.col("type") == "input")
    name = _column(files, _FILE, "files")
    given = files.select(
        _column(files, _ID, "files").cast(pl.String).alias("job_id"),
        name=name.cast(pl.String),
        bytes=_column(files, _BYTES, "files").cast(pl.Float64).fill_null(0.0),
        dataset=pl.col("dataset") if "dataset" in files.columns else pl.lit(None, pl.String),
    )
    odd = given.filter(~((pl.col("bytes") >= 0) & pl.col("bytes").is_finite()))
    if odd.height:
        raise InputError(
            f"files: expected sizes from 0, got {odd['bytes'][0]} of {odd['name'][0]!r}"
        )
    rows = table.select("job_id").with_row_index("row")
    found = given.join(rows, on="job_id").select("row", "name", "bytes", "dataset")
    found = found.unique(["row", "name"], keep="first", maintain_order=True)
    return found.with_columns(pl.col("bytes", "dataset").first().over("name"))


def _implied(table: pl.DataFrame) -> pl.DataFrame:
    """Return one file for each job that read anything, shared as the docstring above says."""
    text = pl.lit(None, pl.String)
    have = table.columns
    rows = table.select(
        pl.col("job_id"),
        bytes=pl.col("input_bytes") if "input_bytes" in have else pl.lit(None, pl.Float64),
        dataset=pl.col("dataset") if "dataset" in have else text,
        task=pl.col("task_id") if "task_id" in have else text,
        root=_root(table),
    ).with_row_index("row")
    first = pl.col("job_id") == pl.col("root")
    places = rows.filter(first).select(
        "root", ordinal=pl.int_range(pl.len()).over(pl.coalesce("task", "root"))
    )
    rows = rows.join(places.unique("root"), on="root", how="left", maintain_order="left")
    rows = rows.filter((pl.col("bytes") > 0) & pl.col("bytes").is_finite()).with_columns(
        pl.col("ordinal").fill_null(0)
    )
    own = pl.col("root") + ".input"
    shared = pl.concat_str("dataset", pl.lit("#"), "ordinal")
    named = rows.with_columns(name=pl.coalesce(shared, own))
    return named.select("row", "name", "bytes", "dataset")


def _root(table: pl.DataFrame) -> pl.Series:
    """Return the first attempt of each job: itself, unless the table tells attempts apart."""
    if not {"attempt", "parent_id"} <= set(table.columns):
        return table["job_id"]
    again = pl.col("attempt").fill_null(0) > 0
    return roots(table.select("job_id", parent_id=pl.when(again).then("parent_id")))


def _replicas(
    table: pl.DataFrame,
    first: pl.DataFrame,
    platform: Platform,
    replicas: pl.DataFrame | None,
    place: dict[str, int],
) -> tuple[pl.DataFrame, list[str]]:
    """Return the sites of the files: ``number``, ``site``; by the platform and by a frame."""
    held = [
        (name, site.name) for site in platform.sites for s in site.storages for name, _ in s.files
    ]
    names = first.select("number", "name", "dataset")
    stored = pl.DataFrame(held, schema={"name": pl.String, "site": pl.String}, orient="row")
    parts = [names.join(stored, on="name").select("number", "site")]
    notes: list[str] = []
    if replicas is not None:
        by = "dataset"
        if any(name in replicas.columns for name in _FILE):
            replicas = replicas.with_columns(name=_column(replicas, _FILE, "replicas"))
            by = "name"
        if missing := [name for name in (by, "site") if name not in replicas.columns]:
            raise SchemaError("replicas need the columns site and lfn or dataset; no " + missing[0])
        if "state" in replicas.columns:
            replicas = replicas.filter(pl.col("state") == "A")
        if "deleted_at" in replicas.columns and table.height:
            begin = table["submit_time"][0]
            replicas = replicas.filter(
                pl.col("deleted_at").is_null() | (pl.col("deleted_at") > begin)
            )
        elsewhere = replicas.filter(~pl.col("site").is_in(list(place)))
        if elsewhere.height:
            notes.append(
                f"{elsewhere.height} replicas at sites that the platform lacks are left out"
            )
        here = (
            replicas.filter(pl.col("site").is_in(list(place)))
            .select(by, "site")
            .unique(maintain_order=True)
        )
        parts.append(names.drop_nulls(by).join(here, on=by).select("number", "site"))
    return pl.concat(parts).unique(maintain_order=True).sort("number", maintain_order=True), notes
