"""One source, piece by piece, into a Parquet file of canonical rows; what was seen on the way."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.trace.pseudonyms import KEPT, Key, replace_users
from gridtwin.trace.readers import LINE, RAW, REJECT, Scan
from gridtwin.trace.readers._checks import reasons
from gridtwin.trace.readers._columns import reject
from gridtwin.trace.readers._grid import located, queue_sizes, without_site
from gridtwin.trace.schema import TraceSchema
from gridtwin.trace.tables import queue_map as shipped_queue_map
from gridtwin.trace.tables import read_queue_map

__all__ = ["Describe", "Options", "Part", "convert", "hashed", "merged", "write_frames"]

Metadata = Callable[[], dict[str, str]]
Describe = Callable[["Part"], dict[str, str]]


@dataclass(frozen=True)
class Options:
    """What is done to every row on its way, whatever the source."""

    queue_map: Path | None = None
    """The user's map of queue to site: an error where there are no queues of a grid."""
    key: Key | None = None
    """Of the pseudonyms; None keeps the names."""
    rejects: bool = False
    """Write the rows that are not kept, and keep lines and raw text beside those that are."""


@dataclass
class Part:
    """What is known of a source once its rows stand in `path`.

    Bounded but for `hashes`, and for `words`, which grow with the users and not with the jobs.
    """

    path: Path
    source: str
    """For the list of rejected rows."""
    number: int | None = None
    """Which of several sources this is; it goes into the ids of jobs that have none."""
    rows_read: int = 0
    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    queues: Counter[str] = field(default_factory=Counter)
    sizes: set[int] = field(default_factory=set)
    persons: tuple[str, ...] = ()
    """Columns that may hold names of persons."""
    words: frozenset[str] = frozenset()
    """Of the names of persons, which are still to be replaced where others' texts hold them."""
    filled: Counter[str] = field(default_factory=Counter)
    """Rows in which a column says something."""
    late: int = 0
    """Rows that came before their predecessor in time."""
    first: float = float("inf")
    last: float = float("-inf")
    timed: bool | None = None
    """There are submit times; None until the first rows are seen."""
    named: bool | None = None
    """There are ids of jobs; None until the first rows are seen."""
    hashes: list[NDArray[np.uint64]] = field(default_factory=list)
    """Of the ids of the rows that are kept, 8 bytes a row."""
    sha256: str = ""

    @property
    def rejects(self) -> Path:
        """Where the rows that are not kept stand, where asked for."""
        return self.path.with_suffix(".rejects")


class _FirstPieceMisledError(Exception):
    """The first piece had no submit times, or no ids, but a later one has."""


def convert(
    scans: Callable[[], Iterable[Scan]],
    part: Part,
    options: Options,
    describe: Describe | None = None,
) -> Part:
    """Write the rows that can be kept to ``part.path`` in the order of the source; fill `part`.

    A duplicated ``job_id`` is not noticed here, rows are not put in order, names in the texts of
    others are not replaced: all three need all sources.
    Whether there are submit times and ids is taken from the first piece; if that turns out wrong
    the source is opened a second time. `describe` says what the file is to carry, once all rows
    are through. Memory: one piece, and 8 bytes a row.
    """
    fresh = replace(part)
    while True:
        fresh.rejects.unlink(missing_ok=True)
        say = None if describe is None else partial(describe, fresh)
        try:
            write_frames(_kept(scans(), fresh, options), fresh.path, say)
        except _FirstPieceMisledError:
            fresh = Part(part.path, part.source, part.number, sha256=part.sha256)
            fresh.timed = fresh.named = True
        else:
            return fresh


def write_frames(
    frames: Iterable[pl.DataFrame], path: Path, metadata: Metadata | None = None
) -> None:
    """Write frames with equal columns to Parquet, one or two in memory at a time.

    `metadata` is asked once all frames were taken. An exception of `frames` comes out as it is.
    """
    rows = iter(frames)
    first = next(rows)
    failures: list[BaseException] = []

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        try:
            yield from chain([first], rows)
        except BaseException as error:
            failures.append(error)
            raise

    lazy = pl.io.plugins.register_io_source(source, schema=first.schema)
    ask = None if metadata is None else (lambda _: metadata())
    try:
        # level 1: half the CPU time of the default for the same size
        lazy.sink_parquet(path, compression="zstd", compression_level=1, metadata=ask)
    except pl.exceptions.PolarsError:
        if failures:
            raise failures[0] from None
        raise


def hashed(ids: pl.Series, seed: int = 0) -> NDArray[np.uint64]:
    """Return 64 bits for each id, the same in every process."""
    return ids.hash(seed).to_numpy()


def merged(notes: Iterable[str]) -> list[str]:
    """Return notes once each; of those that begin with a count, the sum."""
    counts: dict[str, int | None] = {}
    for note in notes:
        found = re.fullmatch(r"(\d+) (.*)", note, re.DOTALL)
        words, number = (found[2], int(found[1])) if found else (note, None)
        counts[words] = None if number is None else (counts.get(words) or 0) + number
    return [words if number is None else f"{number} {words}" for words, number in counts.items()]


def _kept(scans: Iterable[Scan], part: Part, options: Options) -> Iterator[pl.DataFrame]:
    """Yield the rows to keep in canonical columns, equal in every piece; at least one piece."""
    columns: list[str] = []
    for scan in scans:
        rows = _timed(scan.frame.collect(), part)
        part.notes += [note for note in scan.notes if note not in part.notes]
        part.repairs.update(scan.repairs)
        part.sizes |= {scan.machine_cores} if scan.machine_cores else set()
        rows = _known(_identified(rows, part), scan, part, options)
        part.rows_read += rows.height
        good, bad = _parted(rows)
        if bad.height:
            part.dropped.update(bad[REJECT].to_list())
            if options.rejects:
                _write_rejects(bad, part)
        columns = columns or _columns(good, options)
        good = _typed(good, columns)
        _note(good, part)
        yield good
    if part.queues:
        part.notes += without_site(part.queues, _queues(options.queue_map))


def _timed(rows: pl.DataFrame, part: Part) -> pl.DataFrame:
    """Return the rows without a column of submit times that the source does not have."""
    if "submit_time" not in rows.columns:
        part.timed = bool(part.timed)
        return rows
    given = rows["submit_time"].count() > 0
    if part.timed is None:
        part.timed = given or rows.is_empty()
    if given and not part.timed:
        raise _FirstPieceMisledError
    return rows if part.timed else rows.drop("submit_time")


def _identified(rows: pl.DataFrame, part: Part) -> pl.DataFrame:
    """Give rows without a ``job_id`` one made of their position in the source, from 1."""
    if "job_id" not in rows.columns:
        rows = rows.with_columns(job_id=pl.lit(None, pl.String))
    nulls = rows["job_id"].null_count()
    given = nulls < rows.height
    if part.named is None:
        part.named = given or rows.is_empty() or part.number is not None
    if given and not part.named:
        raise _FirstPieceMisledError
    if not nulls:
        return rows
    number = pl.int_range(part.rows_read + 1, part.rows_read + 1 + pl.len()).cast(pl.String)
    if not part.named:
        part.notes.append("The source has no unique job ids: job_id is the number of the row.")
        return rows.with_columns(job_id=number)
    missing = int((rows["job_id"].is_null() & rows[REJECT].is_null()).sum())
    if missing:
        words = "jobs without an id: job_id is 'row' and the row's number."
        part.notes.append(f"{missing} {words}")
    prefix = "row" if part.number is None else f"row{part.number}."
    return rows.with_columns(pl.col("job_id").fill_null(pl.lit(prefix) + number))


def _known(rows: pl.DataFrame, scan: Scan, part: Part, options: Options) -> pl.DataFrame:
    """Return the rows with the sites of a grid's queues and pseudonyms for users."""
    if scan.grid:
        rows, _ = located(rows, _queues(options.queue_map))
        part.queues.update(queue_sizes(rows))
    elif options.queue_map is not None:
        raise InputError(
            f"only records of a grid have a map of queues: leave out {options.queue_map}"
        )
    return _unnamed(rows, scan.persons, part, options)


def _unnamed(
    rows: pl.DataFrame, columns: tuple[str, ...], part: Part, options: Options
) -> pl.DataFrame:
    """Return the rows with pseudonyms for users; words of their names stay in others' texts."""
    present = [name for name in columns if name in rows.columns and rows[name].count()]
    if not present:
        return rows
    note = KEPT
    if options.key is not None:
        note = options.key.note
        rows, words = replace_users(rows, present, options.key)
        part.words |= words
        part.persons = tuple(dict.fromkeys((*part.persons, *present)))
    part.notes += [note] if note not in part.notes else []
    return rows


def _parted(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that may be true, and those that cannot be, with the first reason found."""
    tests = _tests(tuple(rows.columns))
    wrong = rows.select(
        pl.any_horizontal(pl.col(REJECT).is_not_null(), *tests.values()).fill_null(value=False)
    ).to_series()
    if not wrong.any():
        return rows, rows.clear()
    return rows.filter(~wrong), rows.filter(wrong).with_columns(reject(tests))


def _queues(path: Path | None) -> pl.DataFrame:
    return shipped_queue_map() if path is None else read_queue_map(path)


@cache
def _tests(columns: tuple[str, ...]) -> dict[str, pl.Expr]:
    return dict(reasons(pl.DataFrame(schema=dict.fromkeys(columns, pl.Null()))))


def _columns(rows: pl.DataFrame, options: Options) -> list[str]:
    names = [name for name in TraceSchema.canonical().names if name in rows.columns]
    return [*names, LINE, RAW] if options.rejects else names


def _typed(rows: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Return these columns in canonical types, null where the piece has none."""
    schema = TraceSchema.canonical()
    types = {LINE: pl.Int64(), RAW: pl.String()}
    types |= {name: schema[name].polars for name in columns if name in schema}
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(types[name]).alias(name)
        for name in columns
    )


def _note(rows: pl.DataFrame, part: Part) -> None:
    """Count what the whole has to be told of these rows."""
    part.rows += rows.height
    part.hashes.append(hashed(rows["job_id"]))
    part.filled.update({name: rows[name].count() for name in rows.columns})
    if "submit_time" in rows.columns and rows.height:
        times = rows["submit_time"].to_numpy()
        part.late += int((np.diff(times) < 0).sum()) + int(times[0] < part.last)
        part.first, part.last = min(part.first, float(times.min())), float(times[-1])


def _write_rejects(bad: pl.DataFrame, part: Part) -> None:
    values = pl.struct(pl.exclude(REJECT, LINE, RAW)).struct.json_encode()
    given = [pl.col(RAW)] if RAW in bad.columns else []
    line = pl.col(LINE) if LINE in bad.columns else pl.lit(None, pl.Int64)
    lines = bad.select(
        file=pl.lit(part.source),
        line=line,
        reason=pl.col(REJECT),
        row=pl.coalesce(*given, values).str.strip_chars_end("\r"),
    )
    with part.rejects.open("ab") as file:
        lines.write_csv(file, include_header=False)
