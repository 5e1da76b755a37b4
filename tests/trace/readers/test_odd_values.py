"""Values that are no dates, numbers or words of their field, as damaged files have them."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers import canonical_csv, read
from gridtwin.trace.sources import ingest

RECORD = "{} 0 -1 10 1 -1 -1 1 -1 -1 1 1 1 -1 {} -1 -1 -1\n"
FAR = 2**61  # µs: the year 75,000


def swf(tmp_path, header):
    path = tmp_path / "jobs.swf"
    path.write_text(header + "\n" + RECORD.format(1, 1) + RECORD.format(2, 2), encoding="utf-8")
    return read(path)


def test_swf_labels_are_numbered_with_plain_digits(tmp_path):
    header = "; Queue: 1 short\n; Queue: \u00b2 two\n; Queue: " + "2" * 5000 + " long"
    assert set(swf(tmp_path, header).collect()["queue"]) == {"short", "2"}


@pytest.mark.parametrize("digits", ["9" * 20, "9" * 5000, "\u00b2", "\u0663"])
def test_swf_header_numbers_that_cannot_be_meant_are_unknown(digits, tmp_path):
    jobs = swf(tmp_path, f"; MaxProcs: {digits}\n; UnixStartTime: {digits}")
    assert jobs.provenance.machine_cores is None
    assert jobs.collect()["submit_time"].to_list() == [0.0] * len(jobs)


@pytest.mark.parametrize(
    "far",
    [
        pl.Series([0, FAR], dtype=pl.Int64).cast(pl.Datetime("us")),
        pl.Series([0, FAR], dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
        pl.Series([0, FAR], dtype=pl.Int64).cast(pl.Datetime("ms")),
        pl.Series([0, 2**31 - 1], dtype=pl.Int32).cast(pl.Date),
    ],
    ids=lambda column: str(column.dtype),
)
@pytest.mark.parametrize("kind", ["pandaid", "job_id"])
def test_times_without_a_date_are_counted_and_listed(far, kind, tmp_path, capfd):
    when = "creationtime" if kind == "pandaid" else "submit_time"
    frame = pl.DataFrame({kind: ["1", "2"], when: far, "other": far})
    frame = frame.with_columns(jobstatus=pl.lit("finished"), user=far)
    frame.write_parquet(tmp_path / "jobs.parquet")
    jobs = read(tmp_path / "jobs.parquet", rejects=tmp_path / "rejects.csv")
    assert jobs.provenance.rows_read == 2
    assert jobs.provenance.dropped["time out of range: submit_time"] == 1
    assert jobs.provenance.rows_read == len(jobs) + sum(jobs.provenance.dropped.values())
    ingest(tmp_path / "jobs.parquet", tmp_path / "out.parquet", rejects=tmp_path / "2.csv")
    assert capfd.readouterr().err == ""


def test_durations_are_seconds(tmp_path):
    frame = pl.DataFrame({"job_id": ["1"], "run_time": [timedelta(hours=1, milliseconds=500)]})
    frame.write_parquet(tmp_path / "jobs.parquet")
    assert read(tmp_path / "jobs.parquet").collect()["run_time"].to_list() == [3600.5]


def test_a_time_of_day_is_no_time_of_a_job(tmp_path):
    frame = pl.DataFrame({"job_id": ["1"], "start_time": [datetime(2024, 1, 1, 10).time()]})
    frame.write_parquet(tmp_path / "jobs.parquet")
    with pytest.raises(FormatError, match="'start_time' is Time"):
        read(tmp_path / "jobs.parquet")


def test_lists_in_panda_columns_are_json(tmp_path):
    frame = pl.DataFrame({"pandaid": ["1"], "computingsite": [["A", "B"]]})
    frame.write_parquet(tmp_path / "jobs.parquet")
    assert "A" in read(tmp_path / "jobs.parquet").collect()["queue"][0]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([[b"\xff"], None]),
        pl.Series([{"x": b"\xff"}, {"x": None}]),
        pl.Series([[0], [FAR]], dtype=pl.List(pl.Int64)).cast(pl.List(pl.Datetime("us"))),
        pl.Series([["1.5"], ["x"]]).cast(pl.List(pl.Categorical)),
    ],
    ids=lambda column: str(column.dtype),
)
@pytest.mark.parametrize("kind", ["pandaid", "job_id"])
def test_nested_values_of_any_type_are_read(values, kind, tmp_path, capfd):
    frame = pl.DataFrame({kind: ["1", "2"], "user": values, "produsername": values})
    frame.write_parquet(tmp_path / "jobs.parquet")
    assert len(read(tmp_path / "jobs.parquet", rejects=tmp_path / "rejects.csv")) == 2
    assert capfd.readouterr().err == ""


def test_a_mark_of_utf8_counts_only_where_the_file_begins(tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_bytes(b"job_id,run_time\n1,5.0\n" + "\ufeff".encode())
    jobs = read(path)
    assert (jobs.provenance.rows_read, jobs.provenance.dropped) == (2, {"malformed line": 1})
    pieces = sum(scan.frame.collect().height for scan in canonical_csv.batches(path))
    assert pieces == jobs.provenance.rows_read


@pytest.mark.parametrize(
    ("nodes", "tres"),
    [
        ("\uff11", "mem=1.2.3M"),
        ("\u0663", "mem=.,node=1"),
        ("2", "mem=16\uff11M"),
        ("2", "mem=..G"),
    ],
)
def test_slurm_numbers_are_plain_digits(nodes, tres, tmp_path):
    path = tmp_path / "jobs.txt"
    names = "JobID|User|State|Submit|Start|End|ElapsedRaw|AllocCPUS|ReqNodes|NNodes|ReqTRES"
    times = "2024-03-01T08:01:00|2024-03-01T08:01:00|2024-03-01T08:02:40"
    path.write_text(f"{names}\n1|ann|COMPLETED|{times}|100|4|{nodes}|2|{tres}\n")
    jobs = read(path).collect()
    assert jobs["nodes_req"].to_list() == [2]
    assert jobs.get_column("memory_req", default=pl.Series([None])).to_list() == [None]
