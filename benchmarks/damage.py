"""Ways to damage a file of job records, by what its bytes stand for: the parts of `fuzz`.

Lines, fields and columns of tables of text, values of JSON, types, values and pages of Parquet,
encodings, gzip; and bytes anywhere.
"""

import gzip
import io
import json
import random
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

BYTES = (b"\0", b"\xff", b"\xc3", b'"', b'""', b"'", b",", b"|", b";", b"\n", b"\r", b"\r\n")
BYTES += (b"-", b"9" * 30, b"1e999", b"nan", b"[", b"{", b"}", b"]", b":", b"null", b"\\", b"")
NUMBERS = ("-1", "0", "-0", "1e308", "1e999", "-1e999", "nan", "inf", "-inf", "9" * 30, "9" * 400)
NUMBERS += ("1e-320", "9007199254740993", "9223372036854775808", "-9223372036854775809")
NUMBERS += ("18446744073709551615", "4294967294", "1.5", "1,5", "1_000", "0x10", "\u0663", "\uff11")
NUMBERS += (
    "1e",
    ".",
    "-",
    "+5",
    " 7 ",
    "7.0",
    "4e2",
    "-62135596801",
    "253402300800",
    "1" + "0" * 17,
)
DATES = ("1970-01-01 00:00:00", "0000-00-00", "9999-12-31 23:59:59", "10000-01-01 00:00:00")
DATES += ("-001-01-01 00:00:00", "2024-02-30 00:00:00", "2024-01-27T25:61:61Z", "1/27/2024 1:05")
DATES += ("2024-01-27T01:05:00+99:99", "99/99/9999 99:99", "262143-12-31 00:00:00", "0:0:0")
DATES += (
    "2024-01-27 01:05:00.123456789123",
    "1-02:03:04",
    "99999-99:99:99",
    "1:2:3:4:5",
    "9999999-",
)
WORDS = (
    "",
    "NULL",
    "None",
    "\\N",
    "\u00e9",
    "\u202e",
    "\U0001f600",
    "\ufeff",
    "a" * 5000,
    "\t",
    "|",
)
WORDS += (",", '"', '""', '"a', 'a"b', "'", ";", "\0", "\x1b[31m", "=1+1", "../../x", "%s%n", "{}")
WORDS += (
    '{"a": 1e999}',
    '{"a": -1}',
    "[" * 3000,
    "1=2,3=4",
    "cpu=4,mem=1.2.3M",
    "mem=.K",
    "4000Mc",
)
WORDS += ("cpu=" + "9" * 40, "gres/gpu:a=1,gres/gpu:b=" + "9" * 40, "1.5.5G", "...", "0:9:1")
WORDS += (
    "CANCELLED by 1",
    "user.x.",
    "mc16_13TeV.1.x.deriv.DAOD.p1/",
    "MaxProcs: 9999999999999999",
)
VALUES = NUMBERS + DATES + WORDS
LAST_DAY = 95_000_000  # since 1970: the year 262,000, about where Polars ends


def damage(path: Path, rng: random.Random) -> bytes:
    """Return the bytes of a sample with one to four places changed, by what they stand for."""
    data = _bytes_of(path)
    if path.suffix == ".parquet":
        return _parquet(path, data, rng)
    if path.suffix == ".json" and rng.random() < 0.5:
        data = _json(path, rng)
        return data if rng.random() < 0.7 else _packed(_anywhere(data, rng), rng)
    separator = {".swf": b" ", ".txt": b"|"}.get(path.suffix, b",")
    for _ in range(rng.randint(1, 4)):
        data = _table(data, separator, rng) if rng.random() < 0.6 else _anywhere(data, rng)
    return _packed(data, rng)


@cache
def _bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def _anywhere(data: bytes, rng: random.Random, low: int = 0) -> bytes:
    """Change bytes at any place from `low` on."""
    out = bytearray(data)
    at = rng.randrange(min(low, len(out) - 1), len(out))
    match rng.randrange(9):
        case 0:
            out[at] = rng.randrange(256)
        case 1:
            out[at] ^= 1 << rng.randrange(8)
        case 2:
            out[at : at + 1] = rng.choice(BYTES)
        case 3:
            del out[at : at + rng.randint(1, 40)]
        case 4:
            out[at:at] = out[rng.randrange(len(out)) :][: rng.randint(1, 80)]
        case 5:
            del out[at:]
        case 6:
            size = rng.choice((1, 2, 4, 8))
            out[at : at + size] = rng.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * size
        case 7:
            size = rng.choice((1, 4, 16))
            one, two = bytes(out[at : at + size]), rng.randrange(len(out))
            out[at : at + size], out[two : two + size] = bytes(out[two : two + size]), one
        case _:
            out[at:at] = rng.choice(VALUES).encode()
    return bytes(out) or b"\n"


def _table(data: bytes, separator: bytes, rng: random.Random) -> bytes:
    """Change lines, fields or columns of a table of text."""
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(12):
        case 0:
            lines.insert(other, lines[at])
        case 1:
            del lines[at]
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at : at + 2] = [b"".join(lines[at : at + 2])]
        case 4:
            lines = _column(lines, separator, rng)
        case 5:
            end = rng.choice((b"\r\n", b"\r", b"\n\n", b"\n \n", b"\n\0\n"))
            return end.join(lines)
        case 6:
            code = rng.choice(("utf-16", "utf-8-sig", "utf-16-le", "cp037", "latin-1"))
            return data.decode("utf-8", "replace").encode(code, "replace")
        case _:
            lines[at] = _fields(lines[at], lines[other], separator, rng)
    return b"\n".join(lines) or b"\n"


def _fields(line: bytes, other: bytes, separator: bytes, rng: random.Random) -> bytes:
    """Change a field of a line."""
    fields, more = line.split(separator), other.split(separator)
    at, two = rng.randrange(len(fields)), rng.randrange(len(fields))
    match rng.randrange(7):
        case 0:
            del fields[at]
        case 1:
            fields.insert(at, fields[two])
        case 2:
            fields[at], fields[two] = fields[two], fields[at]
        case 3:
            fields[at] = rng.choice(more)
        case 4:
            fields[at] = b'"' + rng.choice(VALUES).encode() + b'"'
        case _:
            fields[at] = rng.choice(VALUES).encode()
    return separator.join(fields)


def _column(lines: list[bytes], separator: bytes, rng: random.Random) -> list[bytes]:
    """Delete, double, move or fill a column in all lines."""
    at, to = rng.randrange(64), rng.randrange(64)
    kind, value = rng.randrange(4), rng.choice(VALUES).encode()
    out = []
    for i, line in enumerate(lines):
        fields = line.split(separator)
        if at < len(fields) > 1:
            field = fields[at] if kind in (1, 3) else fields.pop(at)
            if kind in (1, 2):
                fields.insert(to % (len(fields) + 1), field)
            elif kind == 3 and i:
                fields[at] = value
        out.append(separator.join(fields))
    return out


def _packed(data: bytes, rng: random.Random) -> bytes:
    """Pack one file in ten with gzip, and damage some of these."""
    if rng.random() > 0.1:
        return data
    packed = gzip.compress(data, compresslevel=1, mtime=0)
    match rng.randrange(5):
        case 0:
            return packed
        case 1:
            return packed + packed
        case 2:
            return packed + rng.choice(BYTES)
        case 3:
            return packed[: rng.randrange(len(packed))] or packed
        case _:
            return _anywhere(packed, rng)


def _json(path: Path, rng: random.Random) -> bytes:
    """Change values of a JSON document or of JSON lines."""
    lines = path.name.endswith(".lines.json")
    text = _bytes_of(path).decode()
    tree: Any = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
    for _ in range(rng.randint(1, 3)):
        _branch(tree, rng)
    if not lines:
        return json.dumps(tree, indent=rng.choice((None, 1))).encode()
    rows = tree if isinstance(tree, list) else [tree]
    return "\n".join(json.dumps(row) for row in rows).encode()


def _branch(tree: Any, rng: random.Random) -> None:  # noqa: ANN401 - any JSON
    """Change one place below a list or an object."""
    while isinstance(tree, (dict, list)) and tree:
        key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        if isinstance(tree[key], (dict, list)) and tree[key] and rng.random() < 0.85:
            tree = tree[key]
            continue
        match rng.randrange(8):
            case 0:
                del tree[key]
            case 1 if isinstance(tree, dict):
                tree[rng.choice((str(key).upper(), *WORDS))] = tree[key]
            case 2:
                tree[key] = float(rng.choice(("nan", "inf", "-1", "1e308", "0.1")))
            case 3:
                tree[key] = rng.choice((None, True, [], {}, 2**63, 10**400, [tree[key]]))
            case 4:
                for _ in range(rng.choice((1, 3, 100))):
                    tree[key] = rng.choice(({"jobs": tree[key]}, [tree[key]]))
            case 5:
                tree[key] = rng.choice(("\ud800", "\udfff\ud800", "\0"))
            case _:
                tree[key] = rng.choice(VALUES)
        return


def _parquet(path: Path, data: bytes, rng: random.Random) -> bytes:
    """Change bytes anywhere, bytes of the footer, or types and values before it is written."""
    kind = rng.randrange(4)
    if kind >= 2:
        data = _written(path, rng)
        if kind == 2:
            return data
    low = 0
    if kind == 1:
        low = max(4, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))
    for _ in range(rng.randint(1, 3)):
        data = _anywhere(data, rng, low)
    return data


def _written(path: Path, rng: random.Random) -> bytes:
    """Return a sample whose columns have other types, values, names or pages."""
    frame = _frame_of(path)
    for _ in range(rng.randint(1, 3)):
        with suppress(pl.exceptions.PolarsError):  # not every column fits every change
            frame = _changed(frame, rng)
    out = io.BytesIO()
    frame.write_parquet(
        out,
        compression=rng.choice(("uncompressed", "snappy", "zstd", "lz4", "gzip")),
        row_group_size=rng.choice((None, 1, 5)),
        data_page_size=rng.choice((None, 1, 64)),
        statistics=rng.random() < 0.5,
    )
    return out.getvalue()


def _changed(frame: pl.DataFrame, rng: random.Random) -> pl.DataFrame:
    """Rename, drop or fill a column."""
    name = rng.choice(frame.columns)
    match rng.randrange(5):
        case 0:
            return frame.rename({name: rng.choice((name.upper(), name + "x", *WORDS[:7]))})
        case 1 if frame.width > 1:
            return frame.drop(name)
        case 2:
            values = [rng.choice((None, *VALUES)) for _ in range(frame.height)]
            return frame.with_columns(pl.Series(name, values, pl.String))
        case 3:
            return frame.with_columns(_numbers(name, frame.height, rng))
        case _:
            return frame.with_columns(rng.choice(SHAPES)(frame[name]).alias(name))


@cache
def _frame_of(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path)


def _numbers(name: str, n: int, rng: random.Random) -> pl.Series:
    """Return a column of numbers or times, extreme ones among them."""
    dtype = rng.choice(TYPES)
    if dtype in (pl.Float32, pl.Float64):
        values = [
            rng.choice((0.5, -1.0, 1e308, float("nan"), float("inf"), None)) for _ in range(n)
        ]
        return pl.Series(name, values, dtype, strict=False)
    most = rng.choice((7, 31, 47, 62))
    ints = pl.Series(name, [rng.randint(-(2**most), 2**most) for _ in range(n)], pl.Int64)
    if dtype == pl.Time:
        return (ints % 86_400_000_000_000).cast(pl.Time)
    if dtype == pl.Date:
        return ints.cast(pl.Int32, strict=False).cast(pl.Date)
    return ints.cast(dtype, strict=False)


def _text(column: pl.Series) -> pl.Series:
    """Return a column as text: Polars ends the process for a time it cannot spell."""
    column = column if _spelled(column) else column.to_physical()
    return column.cast(pl.String, strict=False)


def _spelled(column: pl.Series) -> bool:
    """Tell whether Polars knows the date of all times, in fields of structs too."""
    if isinstance(column.dtype, pl.Struct):
        return all(map(_spelled, column.struct.unnest()))
    per_day = 1 if column.dtype == pl.Date else 86_400_000
    if column.dtype != pl.Date and getattr(column.dtype, "time_unit", "") != "ms":
        return True  # 62 bits of microseconds, or of nanoseconds, have dates
    days = column.to_physical().cast(pl.Float64) / per_day
    return bool((days.abs() < LAST_DAY).all())


TYPES: tuple[Any, ...] = (
    *(pl.Int8, pl.Int64, pl.UInt64, pl.Float32, pl.Float64, pl.Date, pl.Time, pl.Boolean),
    *(pl.Datetime(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "UTC")),
    *(pl.Duration(unit) for unit in ("ms", "us")),
)
SHAPES: tuple[Callable[[pl.Series], pl.Series], ...] = (
    lambda column: pl.Series(column.name, [None] * len(column), pl.Null),
    lambda column: column.reshape((-1, 1)) if not column.dtype.is_nested() else column,
    lambda column: column.implode().list.explode(),
    lambda column: column.to_frame().select(pl.struct(pl.all())).to_series(),
    lambda column: column.to_frame().select(pl.concat_list(pl.all())).to_series(),
    lambda column: _text(column).cast(pl.Categorical),
    lambda column: _text(column).cast(pl.Binary),
    lambda column: column.cast(pl.Float64, strict=False).cast(pl.Decimal(38, 3), strict=False),
    lambda column: column.is_null(),
)
