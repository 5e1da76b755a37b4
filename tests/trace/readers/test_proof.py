"""Damaged Parquet ends another process, not this one; what gridtwin wrote is not read twice."""

import os
import subprocess
import sys

import polars as pl
import pytest

from gridtwin.core.errors import FormatError
from gridtwin.trace import scan, table
from gridtwin.trace.readers import _proof, read
from gridtwin.trace.sources import ingest
from gridtwin.trace.writers import write_parquet

JOBS = pl.DataFrame({"job_id": ["a", "b", "c"], "submit_time": [1.0, 2.0, 3.0]})
PAGE = b"\x2c\x15\x06\x15"  # the header of a page of 3 values (6: the sign is in the last bit)


@pytest.fixture
def jobs(tmp_path):
    """Write jobs as another program would."""
    path = tmp_path / "jobs.parquet"
    JOBS.write_parquet(path, compression="uncompressed", statistics=False)
    return path


@pytest.fixture
def deadly(jobs):
    """Let a page have -60 values: Polars then asks for 2^61 bytes, which ends the process."""
    data = jobs.read_bytes()
    assert data.count(PAGE) >= 2
    path = jobs.with_name("deadly.parquet")
    path.write_bytes(data.replace(PAGE, b"\x2c\x15\x77\x15", 1))
    return path


@pytest.mark.parametrize("format_", ["auto", "canonical_parquet"])
def test_a_file_that_ends_its_reader_is_a_format_error(deadly, jobs, capfd, format_):
    with pytest.raises(FormatError, match=r"deadly\.parquet is no readable Parquet"):
        read(deadly, format_)
    assert len(read(jobs)) == 3
    assert capfd.readouterr().err == ""


def test_one_opened_as_it_lies_and_one_converted_are_refused_too(deadly, tmp_path, capfd):
    with pytest.raises(FormatError, match=r"deadly\.parquet is no readable Parquet"):
        scan.scan(deadly)
    with pytest.raises(FormatError, match=r"deadly\.parquet is no readable Parquet"):
        ingest(deadly, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    assert capfd.readouterr().err == ""


def test_a_file_that_keeps_its_reader_waiting_is_a_format_error(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(_proof, "_PATIENCE", 0.2)
    path = tmp_path / "pipe.parquet"
    os.mkfifo(path)  # opening it waits for somebody who writes
    with pytest.raises(FormatError, match=r"no sign of life.*SIGKILL"):
        _proof.footer(path)
    monkeypatch.undo()
    assert _proof.footer(jobs).columns == ("job_id", "submit_time")


def test_a_footer_that_is_none_is_a_format_error(jobs):
    jobs.write_bytes(jobs.read_bytes()[:-9])
    with pytest.raises(FormatError, match=r"jobs\.parquet is no readable Parquet"):
        _proof.footer(jobs)


def test_a_file_is_read_first_once_until_it_changes(jobs, monkeypatch):
    asked = []
    ask = _proof._CHILD.ask
    monkeypatch.setattr(
        _proof._CHILD, "ask", lambda path, **more: asked.append(more["rows"]) or ask(path, **more)
    )
    read(jobs)
    read(jobs)
    assert asked == [False, True]
    JOBS.head(2).write_parquet(jobs)
    assert len(read(jobs)) == 2
    assert asked == [False, True] * 2


def test_what_has_a_manifest_that_fits_is_not_read_first(jobs, monkeypatch):
    own = jobs.with_name("own.parquet")
    write_parquet(table.JobTable.from_frame(JOBS), own)
    monkeypatch.setattr(_proof._CHILD, "ask", lambda *_, **__: pytest.fail("it was read first"))
    assert len(read(own)) == 3
    assert len(scan.scan(own)) == 3
    data = own.read_bytes()
    monkeypatch.undo()
    own.write_bytes(data[:-9])
    with pytest.raises(FormatError, match=r"own\.parquet is no readable Parquet"):
        read(own)


def test_the_process_that_reads_first_ends_with_ours(jobs):
    script = (
        "import sys, os; from gridtwin.trace.readers import _proof, read; read(sys.argv[1]); "
        "print(_proof._CHILD._process.pid)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(jobs)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
