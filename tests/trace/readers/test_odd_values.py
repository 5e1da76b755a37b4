"""Values that are no dates, numbers or words of their field, as damaged files have them."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers import canonical_csv, read
from gridtwin.trace.readers._checks import check
from gridtwin.trace.readers._typed import scan_frame
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


TEMPORAL = [
    *(pl.Datetime(unit, zone) for unit in ("ms", "us", "ns") for zone in (None, "Asia/Tokyo")),
    *(pl.Duration(unit) for unit in ("ms", "us", "ns")),
    *(pl.Date(), pl.Time()),
]


@st.composite
def times(draw):
    """Draw a column of times of any type, the ends of its range and of the calendar among them."""
    dtype = draw(st.sampled_from(TEMPORAL))
    bits = 32 if dtype == pl.Date else 64
    whole = {pl.Date: pl.Int32}.get(type(dtype), pl.Int64)
    low, high = (0, 86_400 * 10**9 - 1) if dtype == pl.Time else (-(2 ** (bits - 1)), None)
    high = 2 ** (bits - 1) - 1 if high is None else high
    ends = [low, low + 1, 0, high - 1, high]
    years = [-719163, -719162, 2932896, 2932897]  # the days about the years 1 and 10,000
    unit = {"ms": 10**3, "us": 10**6, "ns": 10**9}.get(getattr(dtype, "time_unit", ""), 1)
    per_day = 86_400 * unit if isinstance(dtype, pl.Datetime) else 1
    ends += [day * per_day for day in years if low <= day * per_day <= high]
    value = st.none() | st.sampled_from(ends) | st.integers(low, high)
    return pl.Series("at", draw(st.lists(value, min_size=1, max_size=4)), whole).cast(dtype)


@given(
    times(),
    st.sampled_from(["pandaid", "job_id"]),
    st.sampled_from(["creationtime", "submit_time", "user", "corecount", "run_time", "other"]),
    st.sampled_from(["flat", "list", "struct", "array"]),
)
@settings(max_examples=300, deadline=None)
def test_times_at_the_ends_of_their_type_are_kept_counted_or_refused(column, kind, name, shape):
    shaped = {"flat": pl.col("at"), "list": pl.concat_list("at"), "struct": pl.struct("at")}
    one = column.reshape((-1, 1)) if shape == "array" else column.to_frame().select(shaped[shape])
    one = (one if isinstance(one, pl.Series) else one.to_series()).alias(name)
    frame = pl.DataFrame({kind: [str(i) for i in range(len(one))]}).with_columns(one)
    try:
        found = scan_frame(frame, "rows", raw=True).frame.collect()
    except FormatError as error:
        assert name in str(error)  # noqa: PT017 - or there is none
        return
    assert check(found).height == len(column)


@pytest.mark.parametrize("kind", ["pandaid", "job_id"])
@pytest.mark.parametrize("dtype", TEMPORAL, ids=str)
def test_parquet_with_the_ends_of_a_type_is_ingested(kind, dtype, tmp_path, capfd):
    bits = 31 if dtype == pl.Date else 63
    ends = [0, 86_400 * 10**9 - 1] if dtype == pl.Time else [0, -(2**bits), 2**bits - 1]
    at = pl.Series(ends, dtype=pl.Int32 if bits == 31 else pl.Int64).cast(dtype)
    frame = pl.DataFrame({kind: [str(i) for i in range(len(at))], "run_time": at, "other": at})
    if isinstance(dtype, pl.Datetime | pl.Date):
        frame = frame.rename({"run_time": "submit_time" if kind == "job_id" else "creationtime"})
    elif dtype == pl.Time:
        frame = frame.drop("run_time")
    frame.write_parquet(tmp_path / "jobs.parquet")
    jobs = ingest(tmp_path / "jobs.parquet", tmp_path / "o.parquet", rejects=tmp_path / "r.csv")
    assert jobs.provenance.rows_read == len(at)
    assert jobs.provenance.rows_read == len(jobs.collect()) + sum(jobs.provenance.dropped.values())
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
