"""From converted sources to the output: no names, of equal ids the first, in order of time."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace.pseudonyms import Key, replace_words
from gridtwin.trace.readers import LINE, RAW
from gridtwin.trace.readers._manifest import KEY
from gridtwin.trace.readers._parquet import slices
from gridtwin.trace.schema import TraceSchema
from gridtwin.trace.sources.convert import Part, hashed, write_frames
from gridtwin.trace.table import Provenance

__all__ = [
    "Hide",
    "carry",
    "columns_of",
    "first_of_each",
    "hiding",
    "in_order",
    "is_ready",
    "rewrite",
]

Hide = Callable[[pl.DataFrame], pl.DataFrame]

_ROWS = 1 << 18
_BUCKET = 1 << 19
_EXTRA = (LINE, RAW)


def carry(provenance: Provenance) -> dict[str, str]:
    """Return what a Parquet file carries of where its rows come from."""
    return {KEY: json.dumps(provenance.to_json())}


def first_of_each(parts: list[Part]) -> NDArray[np.bool_] | None:
    """Return for each row of all parts whether its id comes first there; None if none comes twice.

    Ids count as equal if two hashes of 64 bits are: for 10 M jobs, two different ids are taken
    for one with a chance of 1e-25. Memory: 8 bytes a row, 24 where an id comes twice.
    """
    first = np.concatenate([np.concatenate(part.hashes) for part in parts])
    ordered = np.sort(first)
    if not (ordered[1:] == ordered[:-1]).any():
        return None
    del ordered
    second = [
        hashed(frame["job_id"], seed=7)
        for part in parts
        for _, frame in slices(part.path, _ROWS, columns=["job_id"], proven=True)
    ]
    both = pl.DataFrame({"first": first, "second": np.concatenate(second)})
    keep = both.select(pl.struct("first", "second").is_first_distinct()).to_series().to_numpy()
    return None if keep.all() else keep


def in_order(parts: list[Part]) -> bool:
    """Tell whether the rows of all parts stand in order of submission."""
    if any(part.late for part in parts):
        return False
    filled = [part for part in parts if part.rows and part.timed]
    return all(one.last <= other.first for one, other in pairwise(filled))


def columns_of(parts: list[Part]) -> dict[str, pl.DataType]:
    """Return the columns in which some row says something, with their types."""
    empty = not any(part.rows for part in parts)
    found: dict[str, pl.DataType] = {}
    for part in parts:
        found |= {
            name: dtype
            for name, dtype in pl.read_parquet_schema(part.path).items()
            if name not in _EXTRA and (empty or name == "job_id" or part.filled[name])
        }
    return {name: found[name] for name in TraceSchema.canonical().names if name in found}


def hiding(parts: list[Part], key: Key | None) -> Hide | None:
    """Return what replaces the names known from any part in the texts of all; None if none is left.

    Memory: the words of the names, and the texts of a slice of rows.
    """
    words = frozenset[str]().union(*(part.words for part in parts))
    if key is None or not words:
        return None
    texts = {name for part in parts for name in part.persons if name != "user"}
    hide = partial(replace_words, columns=sorted(texts), words=words, key=key)
    for part in parts:
        present = sorted(texts & set(pl.read_parquet_schema(part.path)))
        for _, rows in slices(part.path, _ROWS, columns=present, proven=True) if present else ():
            if not hide(rows).equals(rows):
                return hide
    return None


def is_ready(parts: list[Part], keep: NDArray[np.bool_] | None, hide: Hide | None) -> bool:
    """Tell whether the only part is the output as it stands."""
    if len(parts) > 1 or hide is not None or keep is not None or not in_order(parts):
        return False
    return list(columns_of(parts)) == list(pl.read_parquet_schema(parts[0].path))


def rewrite(
    parts: list[Part],
    keep: NDArray[np.bool_] | None,
    columns: dict[str, pl.DataType],
    path: Path,
    provenance: Provenance,
    hide: Hide | None = None,
) -> None:
    """Write the rows of the parts that `keep` says to one Parquet file, in order of submission.

    Rows that are out of order are gathered in buckets of half a million or so by their time, each
    sorted in memory. Memory: a bucket (more where more jobs share one instant), 16 bytes a row.
    """
    frames = _as_they_stand(parts, keep) if in_order(parts) else _by_time(parts, keep)
    shaped = (
        (frame if hide is None else hide(frame)).select(
            (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in columns.items()
        )
        for frame in frames
    )
    write_frames(shaped, path, lambda: carry(provenance))


def _as_they_stand(parts: list[Part], keep: NDArray[np.bool_] | None) -> Iterator[pl.DataFrame]:
    start = 0
    for part in parts:
        for _, frame in slices(part.path, _ROWS, proven=True):
            mask = None if keep is None else keep[start : start + frame.height]
            start += frame.height
            yield frame if mask is None else frame.filter(pl.Series(mask))


def _by_time(parts: list[Part], keep: NDArray[np.bool_] | None) -> Iterator[pl.DataFrame]:
    starts = np.cumsum([0, *(part.rows for part in parts)])
    times = np.concatenate(
        [
            pl.scan_parquet(part.path).select("submit_time").collect().to_series().to_numpy()
            for part in parts
            if part.rows
        ]
    )
    times.sort()
    edges = np.unique(np.append(times[::_BUCKET], np.inf))
    del times
    for low, high in pairwise(edges):
        found = []
        for part, start in zip(parts, starts[:-1], strict=True):
            if not part.rows:
                continue
            rows = (
                pl.scan_parquet(part.path, row_index_name="_row")
                .filter((pl.col("submit_time") >= low) & (pl.col("submit_time") < high))
                .collect()
            )
            if keep is not None:
                rows = rows.filter(pl.Series(keep[start + rows["_row"].to_numpy()]))
            found.append(rows.drop("_row"))
        yield pl.concat(found, how="diagonal_relaxed").sort("submit_time", maintain_order=True)
