"""Databases: the same jobs as from files, in bounded batches; credentials appear nowhere."""

import inspect
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest

from gridtwin.core.errors import FormatError, InputError, MissingExtraError
from gridtwin.trace.readers import read
from gridtwin.trace.sources import database, ingest

from . import postgres

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "panda_parquet.archive.parquet"
SECRET = "s3cret p@ss/w:rd%"
QUOTED = "s3cret%20p%40ss%2Fw%3Ard%25"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("GRIDTWIN_KEY", "a key for tests")
    for name in ("GRIDTWIN_DB_PASSWORD", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def wanted():
    return read(SAMPLE).collect()


@pytest.fixture
def sqlite(tmp_path):
    """Return a SQLite file with the sample's jobs, times as text, and a table of no jobs."""
    path = tmp_path / "jobs.db"
    frame = pl.read_parquet(SAMPLE).with_columns(pl.col(pl.Datetime).cast(pl.String))
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE jobs ({', '.join(frame.columns)})")
        marks = ", ".join("?" * frame.width)
        connection.executemany(f"INSERT INTO jobs VALUES ({marks})", frame.rows())
        connection.execute("CREATE TABLE other (colour)")
    connection.close()
    return path


def test_sqlite_gives_the_jobs_of_the_file(sqlite, wanted, tmp_path):
    jobs = ingest(sqlite, tmp_path / "o.parquet", table="jobs")
    assert jobs.collect().equals(wanted)
    assert jobs.provenance.format == "sqlite"
    assert jobs.provenance.rows_read == 16
    some = ingest(
        f"sqlite:///{sqlite}",
        tmp_path / "p.parquet",
        query="select * from jobs where JOBSTATUS = 'failed';",
    )
    assert some.collect().equals(wanted.filter(status="failed").select(some.columns))
    assert "Query: select * from jobs where JOBSTATUS = 'failed'" in some.provenance.notes
    assert read(tmp_path / "p.parquet").collect().equals(some.collect())


def test_rows_that_cannot_be_kept_are_counted_and_listed(sqlite, tmp_path):
    with sqlite3.connect(sqlite) as connection:
        connection.execute("UPDATE jobs SET CORECOUNT = 'many' WHERE PANDAID = 6500000001")
        connection.execute("UPDATE jobs SET ENDTIME = '2001-01-01' WHERE PANDAID = 6500000005")
        connection.execute("INSERT INTO jobs SELECT * FROM jobs WHERE PANDAID = 6500000003")
    connection.close()
    rejects = tmp_path / "rejects.csv"
    jobs = ingest(sqlite, tmp_path / "o.parquet", table="jobs", rejects=rejects)
    origin = jobs.provenance.to_json()
    assert origin["rows_read"] == 17 == len(jobs) + sum(origin["dropped"].values())
    assert origin["dropped"]["duplicate job_id"] == 1
    assert origin["dropped"]["not a number: corecount"] == 1
    told = pl.read_csv(rejects)
    assert told["line"].to_list()[-1] == 17
    assert json.loads(told["row"][0])["CORECOUNT"] == "many"
    assert len(told) == sum(origin["dropped"].values())


def test_canonical_columns_and_empty_results(sqlite, tmp_path):
    query = "select PANDAID as JOB_ID, 1700000000 as submit_time, '8' as cores_req from jobs"
    jobs = ingest(sqlite, tmp_path / "o.parquet", query=query)
    assert jobs.collect().row(0) == ("6500000000", 1.7e9, 8)
    none = ingest(sqlite, tmp_path / "p.parquet", query=query + " where PANDAID is null")
    assert none.provenance.rows_read == len(none) == 0


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "with a query or a table"),
        ({"query": "select 1", "table": "jobs"}, "with a query or a table"),
        ({"table": "jobs; drop table jobs"}, "no plain name"),
        ({"query": "select colour from jobs"}, "no such column"),
        ({"query": "drop table jobs"}, "readonly"),
        ({"query": "select 1 as a, 2 as a"}, "two columns one name"),
        ({"table": "other"}, "neither the column 'pandaid'"),
    ],
)
def test_what_cannot_be_read_is_said(sqlite, given, why, tmp_path):
    with pytest.raises(InputError, match=why):
        ingest(sqlite, tmp_path / "o.parquet", **given)
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.db"]


def test_urls_and_files_are_told_apart(tmp_path):
    (tmp_path / "x.csv").write_text("job_id,submit_time\na,1\n")
    with pytest.raises(InputError, match="only a database"):
        ingest(tmp_path / "x.csv", tmp_path / "o.parquet", table="jobs")
    with pytest.raises(InputError, match="known: duckdb, oracle, postgresql, sqlite"):
        ingest("mysql://u:p@h/d", tmp_path / "o.parquet", table="jobs")
    with pytest.raises(InputError, match="no sqlite database"):
        ingest(f"sqlite:///{tmp_path}/x.csv", tmp_path / "o.parquet", table="jobs")


def test_duckdb_gives_the_jobs_of_the_file(wanted, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="the extra 'sql' is not installed")
    path = tmp_path / "jobs.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(f"CREATE TABLE jobs AS SELECT * FROM read_parquet('{SAMPLE}')")
    for source in (path, f"duckdb:///{path}"):
        jobs = ingest(source, tmp_path / "o.parquet", table="jobs")
        assert jobs.collect().equals(wanted)
    with pytest.raises(InputError, match="read-only"):
        ingest(path, tmp_path / "o.parquet", query="delete from jobs returning *")
    query = "select 1 as job_id, interval 1 day as span"
    with pytest.raises(FormatError, match="span are intervals"):
        ingest(path, tmp_path / "o.parquet", query=query)


@pytest.mark.parametrize("unit", ["", "TZ", "_S", "_MS", "_NS"])
def test_infinite_times_of_duckdb_are_counted(unit, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="the extra 'sql' is not installed")
    path = tmp_path / "jobs.duckdb"
    duckdb.connect(path).close()
    rows = "(values ('1', '2024-01-01'), ('2', 'infinity'), ('3', '-infinity')) as t (id, v)"
    times = f'v::TIMESTAMP{unit} as submit_time, v::TIMESTAMP{unit} as "b ""x"'
    jobs = ingest(path, tmp_path / "o.parquet", query=f"select id as job_id, {times} from {rows}")
    assert jobs.collect()["job_id"].to_list() == ["1"]
    assert jobs.provenance.dropped == {"time out of range: submit_time": 2}


def test_a_library_that_is_absent_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "oracledb", None)
    with pytest.raises(MissingExtraError, match=r"needs oracledb: pip install 'gridtwin\[sql\]'"):
        ingest("oracle://me@host/service", tmp_path / "o.parquet", table="jobs")
    assert list(tmp_path.iterdir()) == []


# --- Oracle: no server to test against; a stub of python-oracledb's public interface stands in


class OracleStub:
    """What `database` uses of python-oracledb: ``connect(...)`` and ``fetch_df_batches(...)``."""

    def __init__(self, frames, error=None):
        self.frames, self.error, self.given, self.asked = frames, error, {}, {}
        self.closed = False

    def connect(self, **given):
        self.given = given
        return self

    def fetch_df_batches(self, statement, parameters=None, size=1000):
        self.asked = {"statement": statement, "size": size}
        yield from self.frames
        if self.error is not None:
            raise self.error

    def close(self):
        self.closed = True


class Batch:
    """A batch as the driver gives it: nothing but Arrow's C stream."""

    def __init__(self, frame):
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema=None):
        return self.frame.__arrow_c_stream__(requested_schema)


def test_oracle_is_read_by_the_drivers_arrow_batches(wanted, tmp_path, monkeypatch):
    frame = pl.read_parquet(SAMPLE)
    frame = frame.with_columns(pl.col("PANDAID", "CORECOUNT").cast(pl.Float64))  # NUMBER
    stub = OracleStub([Batch(frame[:10]), Batch(frame[10:])])
    monkeypatch.setitem(sys.modules, "oracledb", stub)
    monkeypatch.setenv("GRIDTWIN_DB_PASSWORD", SECRET)
    jobs = ingest("oracle://me@ora.example/ADCR", tmp_path / "o.parquet", table="JOBSARCHIVED")
    assert jobs.collect().equals(wanted)
    assert stub.given["user"] == "me"
    assert stub.given["password"] == SECRET
    assert stub.given["dsn"] == "ora.example:1521/ADCR"
    assert stub.asked == {"statement": "SELECT * FROM JOBSARCHIVED", "size": 100_000}
    assert stub.closed
    assert jobs.provenance.source == "oracle://ora.example/ADCR"
    assert SECRET not in json.dumps(jobs.provenance.to_json())


def test_oracle_errors_lose_the_password(tmp_path, monkeypatch):
    class DatabaseError(Exception):
        __module__ = "oracledb.exceptions"

    error = DatabaseError(f"ORA-01017: cannot log on as me/{SECRET} or {QUOTED}")
    monkeypatch.setitem(sys.modules, "oracledb", OracleStub([], error))
    with pytest.raises(InputError, match="ORA-01017") as caught:
        ingest(f"oracle://me:{QUOTED}@h/s", tmp_path / "o.parquet", query="select 1 from dual")
    assert SECRET not in str(caught.value)
    assert QUOTED not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_stub_has_the_drivers_interface():
    driver = pytest.importorskip("oracledb", reason="the extra 'sql' is not installed")
    real = inspect.signature(driver.Connection.fetch_df_batches).parameters
    stub = inspect.signature(OracleStub.fetch_df_batches).parameters
    assert list(stub) == list(real)[: len(stub)]
    words = set(inspect.signature(driver.connect).parameters)
    assert {"user", "password", "dsn", "tcp_connect_timeout"} <= words
    assert driver.Error.__mro__[1] is Exception
    assert driver.Error.__module__.partition(".")[0] == "oracledb"


# --- PostgreSQL: a real server


@pytest.fixture(scope="module")
def cluster():
    """Return a fresh database cluster, with a password, of which servers have copies."""
    pytest.importorskip("adbc_driver_postgresql", reason="the extra 'sql' is not installed")
    if postgres.binaries() is None:
        pytest.skip("no PostgreSQL server: apt-get install postgresql")
    cluster = postgres.Cluster(SECRET)
    yield cluster
    shutil.rmtree(cluster.folder)


@pytest.fixture(scope="module")
def server(cluster):
    server = cluster.start("shared")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def url(server):
    """Return the URL of a database with the sample's jobs, and a table of many made-up ones."""
    from adbc_driver_postgresql import dbapi

    url = address(server)
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        frame = pl.read_parquet(SAMPLE).with_columns(pl.col(pl.Null).cast(pl.String))
        frame = frame.rename(str.lower)
        types = {pl.String: "text", pl.Int64: "bigint", pl.Float64: "numeric"}
        columns = [f"{n} {types.get(t, 'timestamp')}" for n, t in frame.schema.items()]
        cursor.execute(f"CREATE TABLE jobs ({', '.join(columns)})")
        for row in frame.with_columns(pl.col(pl.Datetime).cast(pl.String)).rows():
            values = ", ".join("NULL" if v is None else f"'{v}'" for v in row)
            cursor.execute(f"INSERT INTO jobs VALUES ({values})")
        cursor.execute(
            "CREATE TABLE many AS SELECT g AS pandaid, 'SITE-' || g % 50 AS computingsite, "
            "timestamp '2025-01-01' + g * interval '1 s' AS creationtime, 'finished' AS jobstatus, "
            "repeat('x', 60) AS jobname FROM generate_series(1, 150000) g"
        )
        connection.commit()
    return url


def test_postgresql_gives_the_jobs_of_the_file(url, wanted, tmp_path):
    jobs = ingest(url, tmp_path / "o.parquet", query="select * from jobs order by pandaid;")
    assert jobs.collect().equals(wanted)
    written = (tmp_path / "o.parquet.json").read_text() + str(
        pl.read_parquet_metadata(tmp_path / "o.parquet")
    )
    assert SECRET not in written
    assert QUOTED not in written
    assert "tester" not in written


def test_the_password_may_come_from_the_environment(url, tmp_path, monkeypatch):
    bare = url.replace(f":{QUOTED}", "")
    for name in ("GRIDTWIN_DB_PASSWORD", "PGPASSWORD"):
        monkeypatch.setenv(name, SECRET)
        assert len(ingest(bare, tmp_path / "o.parquet", table="jobs")) == 16
        monkeypatch.delenv(name)


def command(*args, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from gridtwin.cli import main; main()", "ingest", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=600,
    )


@pytest.mark.parametrize(
    ("change", "query", "why"),
    [
        ((QUOTED, "wr0ng%20s3cret"), "select * from jobs", "password authentication failed"),
        (("127.0.0.1", "no-such-host.invalid"), "select * from jobs", "no-such-host"),
        (("/postgres", "/nothing"), "select * from jobs", "does not exist"),
        (("/postgres", "/postgres?sslmode=bogus"), "select * from jobs", "sslmode"),
        (("postgresql:", "postgresql:"), "select pandaid frm jobs", "syntax error"),
        (("postgresql:", "postgresql:"), "select * from nowhere", "nowhere"),
        (("postgresql:", "postgresql:"), "select 1 as colour", "neither the column"),
        (("postgresql:", "postgresql:"), "select interval '1 s' as job_id", "intervals"),
        ((":", ":"), f"select '{SECRET}' frm jobs", "syntax error"),
    ],
)
def test_no_credentials_in_what_the_command_prints(url, change, query, why, tmp_path):
    url = url.replace(*change, 1)
    debug = why in ("password authentication failed", "syntax error")
    more = ["--debug"] if debug else []
    done = command(url, "--query", query, "-o", tmp_path / "o.parquet", *more)
    assert done.returncode == 1
    assert why in done.stderr
    assert debug or done.stderr.count("\n") == 1
    for word in (SECRET, QUOTED, "s3cret", "wr0ng"):
        assert word not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_changed_in_the_database(url, tmp_path):
    query = "with gone as (delete from jobs returning *) select * from gone"
    with pytest.raises(InputError, match="read-only"):
        ingest(url, tmp_path / "o.parquet", query=query)
    assert len(ingest(url, tmp_path / "o.parquet", table="jobs")) == 16


def test_batches_are_bounded(url):
    link = database.connect(url)
    sizes = [frame.height for frame in link.frames("select *, repeat('y', 900) from many")]
    assert sum(sizes) == 150_000
    assert max(sizes) < 30_000  # about 16 MiB each


# --- a server of each test's own, which dies while it sends rows


@pytest.fixture
def doomed(cluster, request):
    """Start a server with ``halt(i)``, which at 150000 says so in the log and waits for death."""
    from adbc_driver_postgresql import dbapi

    server = cluster.start(request.node.name.replace("[", "-").strip("]"))
    try:
        with dbapi.connect(address(server)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION halt(i bigint) RETURNS text LANGUAGE plpgsql AS $$ BEGIN "
                "IF i = 150000 THEN RAISE LOG 'in mid-read'; PERFORM pg_sleep(300); END IF; "
                "RETURN repeat('y', 200); END $$"
            )
            connection.commit()
        yield server
    finally:
        server.stop()


ROWS = (
    "select g as pandaid, 'finished' as jobstatus, timestamp '2025-01-01' as creationtime, "
    "halt(g) as jobname from generate_series(1::bigint, 200000) g"
)


def lose_one_process(server, busy):
    os.kill(busy, signal.SIGKILL)


def end_the_session(server, busy):
    os.kill(busy, signal.SIGTERM)


def lose_all(server, busy):
    server.kill()


def when_half_way(server, death):
    """Start to wait for the rows to be half way; then do it. The wait ends with the server."""
    todo = lambda: death(server, server.wait("in mid-read"))  # noqa: E731 - a line says it all
    waiting = threading.Thread(target=todo, daemon=True)
    waiting.start()
    return waiting


@pytest.mark.parametrize("death", [lose_one_process, end_the_session, lose_all])
def test_a_server_killed_in_mid_read_leaves_no_output(doomed, death, tmp_path):
    old = tmp_path / "o.parquet"
    old.write_text("an output of before")
    waiting = when_half_way(doomed, death)
    with pytest.raises(InputError, match="reading failed"):
        ingest(address(doomed), old, query=ROWS, rejects=tmp_path / "r.csv")
    assert old.read_text() == "an output of before"
    assert list(tmp_path.iterdir()) == [old]
    waiting.join()


def test_the_command_says_so_too(doomed, tmp_path):
    waiting = when_half_way(doomed, lose_all)
    done = command(address(doomed), "--query", ROWS, "-o", tmp_path / "o.parquet")
    assert done.returncode == 1
    shown = f"postgresql://127.0.0.1:{doomed.port}/postgres"
    assert done.stderr.startswith(f"gridtwin: {shown}: reading failed")
    assert done.stderr.count("\n") == 1
    assert "s3cret" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    waiting.join()


def address(server):
    return f"postgresql://tester:{QUOTED}@127.0.0.1:{server.port}/postgres"
