"""Rows of a query from SQLite, DuckDB, PostgreSQL or Oracle, a batch at a time.

SQLite needs no library. PostgreSQL is read through ADBC, Oracle through python-oracledb; all but
SQLite hand over Arrow batches, so that no row becomes a Python object. Nothing is ever committed.

A password comes from the URL or from ``GRIDTWIN_DB_PASSWORD``, for PostgreSQL also from what its
own clients know (``PGPASSWORD``, ``~/.pgpass``). It is in no message: `Link.hidden` strikes it out
of what drivers say, and `Link.shown` leaves out user, password and parameters.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import polars as pl

from gridtwin.core.errors import FormatError, InputError, MissingExtraError
from gridtwin.trace.readers import Scan
from gridtwin.trace.readers._typed import scan_frame

__all__ = ["Link", "connect", "statement"]

_PASSWORD = "GRIDTWIN_DB_PASSWORD"
_ROWS = 100_000
_TIMEOUT = 30  # s, to reach a server
_FILES = {b"SQLite format 3\0": "sqlite", b"DUCK": "duckdb"}
_ALIASES = {"postgres": "postgresql"}
_TABLE = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*){0,2}")
# what drivers say of a password wherever it comes from
_NAMED = re.compile(
    r"(password|passwd|pwd|passfile)(\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s&'\"]+)", re.I
)
_IN_URL = re.compile(r"(\w+://)[^\s/@]*@")


@dataclass(frozen=True)
class Link:
    """A database that can be asked; printing it shows no credentials."""

    kind: str
    shown: str
    """The database without user, password and parameters."""
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())

    def hidden(self, text: str) -> str:
        """Return a text without the passwords that stand in it, on one line."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        text = _IN_URL.sub(r"\1", _NAMED.sub(r"\1\2***", text))
        return " ".join(text.split())

    def scans(self, statement: str, *, raw: bool = False) -> Iterator[Scan]:
        """Yield the jobs in the rows of a statement.

        Raises `InputError` with what the database says where it cannot be reached, refuses or
        breaks off, `FormatError` where its columns are not those of jobs.
        """
        first = 1
        frames = self.frames(statement)
        for frame in frames:
            yield scan_frame(frame, self.shown, first=first, raw=raw)
            first += frame.height

    def frames(self, statement: str) -> Iterator[pl.DataFrame]:
        """Yield the rows of a statement in batches: one without rows if there are none."""
        try:
            yield from _READ[self.kind](self, statement)
        except (InputError, MissingExtraError, GeneratorExit):
            raise
        except BaseException as error:
            if not _is_driver_error(error):
                raise
            # the driver's own error stays out of the chain: it may quote the connection
            raise InputError(
                f"{self.shown}: reading failed: {self.hidden(str(error))[:600]}; "
                "check the address, the credentials, the query and that the server is up"
            ) from None


def connect(source: Path | str) -> Link | None:
    """Return the database that a URL or a file is; None if it is neither."""
    text = str(source)
    found = re.match(r"(\w+)://?", text) if isinstance(source, str) else None
    if found is None:
        return _file(Path(source))
    kind = _ALIASES.get(found[1].lower(), found[1].lower())
    if kind not in _READ:
        raise InputError(
            f"no database of the kind {found[1]!r}; known: {', '.join(sorted(_READ))} "
            "(such as postgresql://user@host/name)"
        )
    if kind in ("sqlite", "duckdb"):
        path = Path(unquote(text.partition("://")[2].partition("?")[0].removeprefix("/")))
        link = _file(path)
        if link is None or link.kind != kind:
            raise InputError(f"{path} is no {kind} database; give {kind}:///path/of/the.file")
        return link
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InputError(
            f"the URL of the {kind} database cannot be read; expected "
            f"{kind}://user@host:port/name, with special characters as %XX"
        ) from None
    secrets = {value for key, value in parse_qsl(parts.query) if "pass" in key.lower()}
    raw = (parts.netloc.rpartition("@")[0]).partition(":")[2]
    secrets |= {raw, unquote(raw), os.environ.get(_PASSWORD, ""), os.environ.get("PGPASSWORD", "")}
    secrets |= {quote(secret, safe="") for secret in secrets}
    host = parts.hostname or ""
    shown = f"{kind}://{host}{f':{port}' if port else ''}{parts.path}"
    return Link(kind, shown, text, tuple(secrets - {""}))


def statement(query: str | None, table: str | None, link: Link) -> str:
    """Return the statement to run: the query, or all rows of the table."""
    if (query is None) == (table is None):
        raise InputError(f"{link.shown} is a database: say what to read, with a query or a table")
    if query is not None:
        return query.strip().rstrip(";")
    assert table is not None
    if not _TABLE.fullmatch(table):
        raise InputError(f"the table {table!r} has no plain name; write it into a query, quoted")
    return f"SELECT * FROM {table}"


def _file(path: Path) -> Link | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        start = file.read(16)
    for mark, kind in _FILES.items():
        if start.startswith(mark) or start[8:].startswith(mark):
            return Link(kind, str(path), str(path))
    return None


def _module(name: str, what: str, library: str) -> Any:  # noqa: ANN401 - a driver
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(what, library, "sql") from error


def _is_driver_error(error: BaseException) -> bool:
    """Tell whether an error comes from a driver or from reading what it handed over."""
    if isinstance(error, OSError | sqlite3.Error | pl.exceptions.PolarsError):
        return True
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    drivers = {"adbc_driver_manager", "duckdb", "_duckdb", "oracledb", "nanoarrow", "pyo3_runtime"}
    return bool(modules & drivers)


def _sqlite(link: Link, statement: str) -> Iterator[pl.DataFrame]:
    path = quote(str(Path(link.url).absolute()))
    # the rows are taken by one thread at a time, but not always the same
    opened = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
    with closing(opened) as connection:
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        cursor = connection.execute(statement)
        names = [column[0] for column in cursor.description or ()]
        first = True
        while (rows := cursor.fetchmany(_ROWS)) or first:
            first = False
            # a column of SQLite may hold anything: text is what all of it can be
            columns = list(zip(*rows, strict=True)) or [()] * len(names)
            yield _frame(names, [list(map(_word, column)) for column in columns])


def _word(value: object) -> str | None:
    return value.hex() if isinstance(value, bytes) else None if value is None else str(value)


def _frame(names: list[str], columns: list[list[str | None]]) -> pl.DataFrame:
    if len(set(names)) < len(names):
        raise InputError(f"the query gives two columns one name ({', '.join(names)[:200]})")
    return pl.DataFrame(
        dict(zip(names, columns, strict=True)), schema=dict.fromkeys(names, pl.String())
    )


def _duckdb(link: Link, statement: str) -> Iterator[pl.DataFrame]:
    duckdb = _module("duckdb", "reading DuckDB", "duckdb")
    with closing(duckdb.connect(link.url, read_only=True)) as connection:
        found = connection.sql(statement)
        if found is None:
            raise InputError("the statement gives no rows: give one that selects")
        coarse = [str(kind) in ("TIMESTAMP_S", "TIMESTAMP_NS") for kind in found.types]
        if any(coarse):  # infinity in them would come out as a date; in microseconds it is none
            kinds = ["::TIMESTAMP" if one else "" for one in coarse]
            names = [name.replace('"', '""') for name in found.columns]
            columns = enumerate(zip(kinds, names, strict=True), 1)
            found = found.project(", ".join(f'#{i}{kind} AS "{n}"' for i, (kind, n) in columns))
        yield from _arrow(found)


def _postgresql(link: Link, statement: str) -> Iterator[pl.DataFrame]:
    dbapi = _module("adbc_driver_postgresql.dbapi", "reading PostgreSQL", "adbc-driver-postgresql")
    with (
        closing(dbapi.connect(_with_password(link))) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(statement)
        yield from _arrow(cursor.fetch_arrow())


def _with_password(link: Link) -> str:
    """Return the URL for libpq: with a time limit, and the password of the environment."""
    parts = urlsplit(link.url)
    user, host = parts.netloc.rpartition("@")[::2]
    password = os.environ.get(_PASSWORD)
    if password and ":" not in user:
        user = f"{user}:{quote(password, safe='')}"
    words = dict(parse_qsl(parts.query, keep_blank_values=True))
    words = {"connect_timeout": str(_TIMEOUT), **words}
    netloc = f"{user}@{host}" if user else host
    return parts._replace(
        scheme="postgresql", netloc=netloc, query=urlencode(words, quote_via=quote)
    ).geturl()


def _oracle(link: Link, statement: str) -> Iterator[pl.DataFrame]:
    oracledb = _module("oracledb", "reading Oracle", "oracledb")
    parts = urlsplit(link.url)
    service = parts.path.lstrip("/")
    if not parts.hostname or not service:
        raise InputError("an Oracle database is oracle://user@host:1521/service")
    given = {
        "user": unquote(parts.username or ""),
        "password": os.environ.get(_PASSWORD, "")
        if parts.password is None
        else unquote(parts.password),
        "dsn": f"{parts.hostname}:{parts.port or 1521}/{service}",
        "tcp_connect_timeout": _TIMEOUT,
    }
    with closing(oracledb.connect(**given)) as connection:
        for batch in connection.fetch_df_batches(statement=statement, size=_ROWS):
            yield pl.DataFrame(batch)


def _arrow(stream: object) -> Iterator[pl.DataFrame]:
    """Yield the batches of an object with Arrow's C stream interface, without pyarrow."""
    nanoarrow = _module("nanoarrow", "reading this database", "nanoarrow")
    batches = nanoarrow.ArrayStream(stream)
    strange = [field.name for field in batches.schema.fields if "interval" in str(field)]
    if strange:
        raise FormatError(
            f"the columns {', '.join(strange)} are intervals; turn them into seconds in the query"
        )
    empty = True
    for batch in batches:
        empty = False
        yield pl.DataFrame(batch)
    if empty:
        yield pl.DataFrame({field.name: [] for field in batches.schema.fields})


_READ: Mapping[str, Callable[[Link, str], Iterator[pl.DataFrame]]] = {
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "postgresql": _postgresql,
    "oracle": _oracle,
}
