"""Rows that have types already, from Parquet or a database: what they say of jobs."""

import polars as pl
from polars.datatypes import DataTypeClass

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers import LINE, RAW, REJECT, Scan, panda
from gridtwin.trace.readers._columns import numbers
from gridtwin.trace.readers._text import UNKNOWN, Table, chosen
from gridtwin.trace.schema import Field, TraceSchema

__all__ = ["canonical", "is_panda", "plain", "scan_frame"]


_PER_SECOND = {"ms": 1e3, "us": 1e6, "ns": 1e9}
_DAY = 86400.0
_YEAR_1, _YEAR_10000 = -62135596800.0, 253402300800.0


def is_panda(columns: list[str]) -> bool:
    """Tell whether columns are those of PanDA's job table, in upper or lower case."""
    return "pandaid" in {name.lower() for name in columns}


def scan_frame(frame: pl.DataFrame, where: str, *, first: int = 1, raw: bool = False) -> Scan:
    """Return the jobs of rows with PanDA's or canonical columns.

    Parameters
    ----------
    frame
        Rows of any types; names in any case.
    where
        What the rows come from, for messages.
    first
        The number of the first row in its source.
    raw
        Keep each row as JSON in `RAW`, for the list of rows that are not kept.
    """
    rows = plain(frame)
    line = pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias(LINE)
    text = pl.Series(RAW, [None], pl.String).new_from_index(0, rows.height)
    if raw:
        text = rows.select(pl.struct(pl.all()).struct.json_encode().alias(RAW)).to_series()
    if is_panda(rows.columns):
        return panda.from_table(_table(rows.with_columns(line, text)))
    if "job_id" in {name.lower() for name in rows.columns}:
        found, notes = canonical(rows, where)
        return Scan(found.with_columns(line, text).lazy(), notes=tuple(notes))
    raise FormatError(
        f"{where} has neither the column 'pandaid' of PanDA's job table nor 'job_id' of "
        f"canonical jobs; it has {', '.join(rows.columns)[:300]}"
    )


def _table(rows: pl.DataFrame) -> Table:
    """Return rows with PanDA's columns as the text that a file of them would have."""
    names = {name.lower(): name for name in reversed(rows.columns)}
    text = [_text(rows[names[name]]).alias(name) for name in panda.WANTS if name in names]
    frame = rows.select(*text, pl.lit(None, pl.String).alias(REJECT), LINE, RAW)
    return Table(chosen(frame, panda.WANTS, UNKNOWN, strip=True), tuple(names))


def _text(column: pl.Series) -> pl.Series:
    """Return a column as a CSV would have it; a list is JSON."""
    column = _json(column) if column.dtype.is_nested() else _whole(column)
    return column.cast(pl.String)


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows in types that readers know.

    Dates and zoned times become naive UTC times, durations seconds; decimals, nested values and
    bytes become text. A column with a time that has no date (before the year 1, after 9999, 25 h
    of a day) becomes seconds, since 1970 or midnight: the checks then say what is wrong with it.
    """
    return frame.select(_plain(column) for column in frame)


def _plain(column: pl.Series) -> pl.Series:
    if hasattr(column, "ext") and "Extension" in type(column.dtype).__name__:
        column = column.ext.storage()  # a type of the database that Arrow has no word for
    dtype = column.dtype
    if dtype.is_temporal() and not _dated(_seconds(column), dtype):
        return _seconds(column)
    if dtype == pl.Date:
        return column.cast(pl.Datetime("us"))
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    if isinstance(dtype, pl.List) and dtype.inner == pl.String():
        return column
    if isinstance(dtype, pl.Decimal):
        return column.cast(pl.String)
    if dtype.is_nested() or dtype == pl.Object:
        return _json(column)
    if dtype.is_integer() or dtype.is_float() or dtype.is_temporal():
        return column
    return column.cast(pl.String)


def _json(column: pl.Series) -> pl.Series:
    """Return nested values as JSON: times and bytes in them are numbers."""
    if column.dtype != pl.Object:
        column = column.cast(_spelled(column.dtype), strict=False)
    return column.to_frame().select(pl.struct(pl.all()).struct.json_encode()).to_series()


def _spelled(dtype: pl.DataType) -> pl.DataType:
    """Return the type of the same shape that JSON can spell."""
    if isinstance(dtype, (pl.List, pl.Array)):
        return pl.List(_spelled(_instance(dtype.inner)))
    if isinstance(dtype, pl.Struct):
        return pl.Struct({f.name: _spelled(_instance(f.dtype)) for f in dtype.fields})
    if dtype == pl.Binary:
        return pl.List(pl.UInt8())
    if dtype.is_temporal():
        return pl.Int64()
    plain = dtype.is_integer() or dtype.is_float() or dtype in (pl.Boolean, pl.Null)
    return dtype if plain else pl.String()


def _instance(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    return dtype if isinstance(dtype, pl.DataType) else dtype()


def _seconds(column: pl.Series) -> pl.Series:
    """Return times as seconds since 1970 (of the day: since midnight), durations in seconds."""
    unit = getattr(column.dtype, "time_unit", "ns")
    scale = 86400.0 if column.dtype == pl.Date else 1 / _PER_SECOND[unit]
    return column.to_physical().cast(pl.Float64) * scale


def _dated(seconds: pl.Series, dtype: pl.DataType) -> bool:
    """Tell whether all times of a type can be written as such; durations never."""
    if isinstance(dtype, pl.Duration):
        return False
    low, high = (0.0, _DAY) if dtype == pl.Time else (_YEAR_1, _YEAR_10000)
    return bool(((seconds >= low) & (seconds < high)).all())


def _whole(column: pl.Series) -> pl.Series:
    """Return whole numbers as such: ids are floats in databases that have no integers."""
    if not column.dtype.is_float() or not (column.drop_nulls() % 1 == 0).all():
        return column
    whole = column.cast(pl.Int64, strict=False)
    return whole if whole.null_count() == column.null_count() else column


def canonical(frame: pl.DataFrame, where: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the canonical columns of the rows with `REJECT`, and a note of the other columns.

    Raises `FormatError` for a column whose type cannot hold what the field means.
    """
    schema = TraceSchema.canonical()
    lower = {name: name.lower() for name in frame.columns if name not in schema}
    taken = set(frame.columns)
    frame = frame.rename({old: new for old, new in lower.items() if new not in taken})
    unknown = [name for name in frame.columns if name not in schema]
    notes = []
    if unknown:
        notes.append(f"Columns that are no canonical fields were not read: {', '.join(unknown)}.")
    fields = [schema[name] for name in frame.columns if name in schema]
    rows = frame.select(_field(frame[field.name], field, where) for field in fields)
    rows = rows.with_columns(pl.lit(None, pl.String).alias(REJECT))
    # whole numbers stay: a float would round those that are too large
    words = [
        field.name
        for field in fields
        if field.dtype in ("int", "float") and not rows[field.name].dtype.is_integer()
    ]
    return numbers(rows, words), notes


def _field(column: pl.Series, field: Field, where: str) -> pl.Series:
    """Return a column in a type that the field can be made from; the checks do the rest."""
    dtype = column.dtype
    if field.kind == "time" and isinstance(dtype, pl.Datetime):
        return column.dt.epoch("us").cast(pl.Float64) / 1e6
    number = field.dtype in ("int", "float")
    words = isinstance(dtype, pl.List)
    fits = dtype == pl.Null or words == (field.dtype == "list")
    if field.dtype == "list" and dtype == pl.String:
        filled = column.str.split("|").list.eval(pl.element().filter(pl.element() != ""))
        return filled.alias(column.name)
    if not fits or (number and dtype.is_temporal()):
        raise FormatError(f"{where}: column {column.name!r} is {dtype}, expected {field.polars}")
    return column if number else _whole(column).cast(field.polars)
