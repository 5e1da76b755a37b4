"""Typed columns from columns of text: numbers, times, ids, and the reasons why a row has none."""

from collections.abc import Iterable, Mapping

import polars as pl

from gridtwin.trace.readers._text import REJECT

__all__ = ["identity", "nonzero", "numbers", "reject", "seconds", "times"]

_ZONED = r"[T ][0-9][0-9]:[0-9][0-9].*(Z|[+-][0-9][0-9]:?[0-9][0-9])$"
_TIMES = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
)


def reject(reasons: Mapping[str, pl.Expr]) -> pl.Expr:
    """Return the column `REJECT` with these reasons (true = cannot be kept) after those it has."""
    first = [pl.when(bad).then(pl.lit(reason)) for reason, bad in reasons.items()]
    return pl.coalesce(pl.col(REJECT), *first).alias(REJECT)


def numbers(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Turn columns of text into numbers; a row with another word is rejected."""
    names = [name for name in names if name in frame.columns]
    parsed, reasons = [], {}
    for name in names:
        text = frame[name]
        if text.dtype == pl.Int64:
            continue
        words = text.str.strip_chars() if text.dtype == pl.String else text
        value = words.cast(pl.Float64, strict=False)
        if value.is_finite().sum() < text.count():  # only then is the slow part needed
            finite = value.is_finite().fill_null(value=False)
            reasons[f"not a number: {name}"] = pl.lit(text.is_not_null() & ~finite)
        parsed.append(value)
    return frame.with_columns(reject(reasons), *parsed) if parsed else frame


def times(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Turn columns of dates into seconds since 1970; a row with another word is rejected.

    Understood are ISO 8601 (``2025-01-20 18:10:40.5``, with a ``T``, with a zone), US dates
    (``1/27/2024 12:27``) and seconds since 1970. A time without a zone is taken as UTC.
    """
    names = [name for name in names if name in frame.columns]
    parsed = {name: _time(frame[name]) for name in names}
    reasons = {
        f"not a time: {name}": pl.col(name).is_not_null() & value.is_null()
        for name, value in parsed.items()
    }
    return frame.with_columns(reject(reasons), **parsed) if parsed else frame


def seconds(column: str) -> pl.Expr:
    """Return a duration ``[D-]HH:MM:SS[.s]``, ``MM:SS[.s]`` or ``D-HH[:MM]`` in seconds."""
    text = pl.col(column)
    days = text.str.extract(r"^([0-9]+)-", 1).cast(pl.Float64, strict=False)
    clock = text.str.replace(r"^[0-9]+-", "").str.split(":")
    part = [clock.list.get(i, null_on_oob=True).cast(pl.Float64, strict=False) for i in range(3)]
    three = part[0] * 3600 + part[1] * 60 + part[2]
    two = (
        pl.when(days.is_null())
        .then(part[0] * 60 + part[1])
        .otherwise(part[0] * 3600 + part[1] * 60)
    )
    one = pl.when(days.is_not_null()).then(part[0] * 3600)
    size = clock.list.len()
    value = pl.when(size == 3).then(three).when(size == 2).then(two).when(size == 1).then(one)
    return value + days.fill_null(0) * 86400


def nonzero(column: str) -> pl.Expr:
    """Return a number that is null where it is 0, for fields in which 0 means "not stated"."""
    return pl.when(pl.col(column) != 0).then(pl.col(column))


def identity(column: str) -> pl.Expr:
    """Return an id as text: whole numbers without a float's point or exponent."""
    text = pl.col(column)
    power = text.str.contains(r"^[0-9](\.[0-9]+)?[eE]\+[0-9][0-9]?$|^[0-9]\.[0-9]+[eE][0-9][0-9]?$")
    whole = text.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False).cast(pl.String)
    plain = text.str.replace(r"^(-?[0-9]+)\.0*$", "$1")
    return pl.when(power).then(pl.coalesce(whole, text)).otherwise(plain)


def _time(text: pl.Series) -> pl.Series:
    """Return seconds since 1970, null where it is no time."""
    plain = text.str.replace("T", " ", literal=True)
    found = pl.Series(text.name, [None], pl.Float64).new_from_index(0, len(text))
    for parse in (*_TIMES, _number, _zoned):
        if found.null_count() == text.null_count():
            break
        value = _stamp(plain, parse) if isinstance(parse, str) else parse(plain)
        found = found.zip_with(found.is_not_null(), value)
    return found


def _stamp(text: pl.Series, form: str) -> pl.Series:
    found = text.str.strptime(pl.Datetime("us"), form, strict=False)
    return found.dt.epoch("us").cast(pl.Float64) / 1e6


def _number(text: pl.Series) -> pl.Series:
    value = text.cast(pl.Float64, strict=False)
    return value.zip_with(value.is_finite(), pl.Series([None], dtype=pl.Float64))


def _zoned(text: pl.Series) -> pl.Series:
    if not text.str.contains(_ZONED).any():
        return pl.Series(text.name, [None], pl.Float64).new_from_index(0, len(text))
    found = text.str.replace(r"Z$", "+00:00").str.to_datetime(
        "%Y-%m-%d %H:%M:%S%.f%z", strict=False, time_unit="us", time_zone="UTC"
    )
    return found.dt.epoch("us").cast(pl.Float64) / 1e6
