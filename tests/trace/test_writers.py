"""What is written reads back the same, as far as the form can hold it."""

import json

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import JobTable, Provenance, TraceSchema
from gridtwin.trace.readers import read
from gridtwin.trace.writers import SUFFIXES, write

COMMON = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# any text but what no text file can hold; the empty text reads back as null
LETTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
TEXT = st.text(LETTERS, min_size=1, max_size=8)
WORDS = st.lists(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0|"), min_size=1),
    max_size=3,
)


def values(field):
    """Return a strategy for one canonical field that a reader does not reject."""
    if field.dtype == "int":
        return st.integers(0, 2**53)
    if field.dtype == "float":
        return st.floats(0, 1e11)
    return WORDS if field.dtype == "list" else TEXT


@st.composite
def tables(draw):
    """Make a table of any canonical columns, with times in their order."""
    n = draw(st.integers(1, 6))
    ids = draw(st.lists(TEXT, min_size=n, max_size=n, unique=True))
    schema = TraceSchema.canonical()
    order = ("submit_time", "start_time", "end_time")
    names = [name for name in schema.names if name not in ("job_id", *order)]
    columns = {"job_id": ids}
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=6)):
        cells = st.none() | values(schema[name])
        column = draw(st.lists(cells, min_size=n, max_size=n))
        if any(cell is not None for cell in column):  # else a reader drops the column
            columns[name] = column
    rows = [sorted(draw(st.tuples(*[st.floats(0, 2e11)] * 3))) for _ in range(n)]
    columns |= dict(zip(order, map(list, zip(*rows, strict=True)), strict=True))
    frame = pl.DataFrame(columns, schema={name: schema[name].polars for name in columns})
    return JobTable.from_frame(
        frame, Provenance(rows_read=n, machine_cores=draw(st.none() | st.integers(1, 10**6)))
    )


@COMMON
@given(jobs=tables(), suffix=st.sampled_from([".parquet", ".csv", ".csv.gz"]))
def test_parquet_and_csv_read_back_identical(jobs, suffix, tmp_path):
    back = read(write(jobs, tmp_path / f"jobs{suffix}"))
    assert back.provenance.dropped == {}
    assert back.provenance.machine_cores == jobs.provenance.machine_cores
    assert back.collect().equals(jobs.collect())


@st.composite
def swf_tables(draw):
    """Make a table of what SWF can hold: whole seconds, counts, names of one line."""
    n = draw(st.integers(1, 6))
    whole = st.integers(0, 10**6)
    name = st.text("abcXYZ019-_.@%|;:", min_size=1)
    submit = sorted(draw(st.lists(st.integers(0, 2 * 10**9), min_size=n, max_size=n)))
    cores = draw(st.lists(st.integers(1, 10**5), min_size=n, max_size=n))
    size = {"min_size": n, "max_size": n}
    labels = {
        k: draw(st.lists(name, **size)) for k in ("user", "group", "activity", "queue", "site")
    }
    wait, run, limit = (draw(st.lists(whole, **size)) for _ in range(3))
    status = draw(st.lists(st.sampled_from(["finished", "failed", "cancelled"]), **size))
    frame = pl.DataFrame(
        {
            "job_id": [str(7 * i) for i in range(n)],
            **labels,
            "submit_time": submit,
            "start_time": [a + b for a, b in zip(submit, wait, strict=True)],
            "end_time": [a + b + c for a, b, c in zip(submit, wait, run, strict=True)],
            "cores_req": cores,
            "cores_alloc": cores,
            "walltime_req": [x + 1 for x in limit],
            "run_time": run,
            "wait_time": wait,
            "cpu_time": [x * 100 for x in cores],
            "mem_req": [x * 2.0 for x in cores],
            "mem_used": [x * 0.5 for x in cores],
            "status": status,
        }
    )
    return JobTable.from_frame(
        frame, Provenance(machine_cores=draw(st.none() | st.integers(1, 9999)))
    )


@COMMON
@given(jobs=swf_tables(), suffix=st.sampled_from([".swf", ".swf.gz"]))
def test_swf_reads_back_what_it_can_hold(jobs, suffix, tmp_path):
    back = read(write(jobs, tmp_path / f"jobs{suffix}"))
    assert back.provenance.dropped == {}
    assert back.provenance.machine_cores == jobs.provenance.machine_cores
    want = jobs.collect()
    assert_frame_equal(back.collect(want.columns), want)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_small_trace_survives_every_form(jobs, suffix, tmp_path):
    path = write(jobs, tmp_path / "deep" / f"jobs{suffix}")
    back = read(path)
    assert len(back) == len(jobs)
    assert back.collect(jobs.columns).equals(jobs.collect())
    assert back.provenance.machine_cores == 256


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_jobs_give_the_same_bytes(jobs, suffix, tmp_path):
    one, two = write(jobs, tmp_path / f"a{suffix}"), write(jobs, tmp_path / f"b{suffix}")
    assert one.read_bytes() == two.read_bytes()


def test_swf_numbers_ids_that_are_no_numbers_and_says_so(tmp_path):
    frame = pl.DataFrame(
        {
            "job_id": ["x", "y", "z"],
            "parent_id": [None, "x", "gone"],
            "submit_time": [10.25, 20.0, 30.0],
            "cores_req": [1, 2, 3],
            "status": ["closed", "running", None],
            "priority": [1.0, 2.0, 3.0],
        }
    )
    path = write(JobTable.from_frame(frame), tmp_path / "x.swf")
    text = path.read_text()
    assert "; UnixStartTime: 10\n" in text
    for words in ("no unique numbers", "rounded to whole seconds", "priority", "closed"):
        assert words in text
    back = read(path).collect()
    assert back["job_id"].to_list() == ["1", "2", "3"]
    assert back["parent_id"].to_list() == [None, "1", None]
    assert back["submit_time"].to_list() == [10.0, 20.0, 30.0]
    assert back["status"].to_list() == ["cancelled", None, None]


def test_swf_keeps_long_numeric_users_and_maps_names(tmp_path):
    frame = pl.DataFrame(
        {
            "job_id": ["1", "2"],
            "submit_time": [0.0, 1.0],
            "user": ["70296312345678", "92605928607567"],
            "group": ["two\nlines", "0"],
            "queue": ["0", "0"],
        }
    )
    path = write(JobTable.from_frame(frame), tmp_path / "x.swf")
    back = read(path).collect()
    assert back["user"].to_list() == ["70296312345678", "92605928607567"]
    assert back["group"].to_list() == ["two lines", "0"]
    assert back["queue"].to_list() == ["0", "0"]


def test_swf_says_when_a_processor_is_a_node(tmp_path):
    frame = pl.DataFrame({"job_id": ["1"], "submit_time": [0.0], "nodes_req": [5]})
    path = write(JobTable.from_frame(frame), tmp_path / "x.swf")
    assert "a processor is one of the source's nodes" in path.read_text()
    assert read(path).collect()["cores_req"].to_list() == [5]


def test_what_cannot_be_written_is_an_error(jobs, tmp_path):
    with pytest.raises(InputError, match="cannot tell the form"):
        write(jobs, tmp_path / "jobs.xlsx")
    bare = JobTable.from_frame(pl.DataFrame({"job_id": ["1"]}))
    with pytest.raises(SchemaError, match="submit_time"):
        write(bare, tmp_path / "x.swf")
    early = JobTable.from_frame(pl.DataFrame({"job_id": ["1"], "submit_time": [-5.0]}))
    with pytest.raises(InputError, match="from 1970"):
        write(early, tmp_path / "x.swf")
    barred = pl.DataFrame({"job_id": ["1"], "error_codes": [["a|b"]]})
    with pytest.raises(InputError, match="error_codes"):
        write(JobTable.from_frame(barred), tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_is_believed_only_for_its_own_file(jobs, tmp_path):
    path = write(jobs, tmp_path / "jobs.csv")
    manifest = json.loads((tmp_path / "jobs.csv.json").read_text())
    assert manifest["rows"] == 300
    assert read(path).provenance.machine_cores == 256
    path.write_text(path.read_text() + "\n")
    assert read(path).provenance.machine_cores is None


def test_notes_do_not_grow_with_each_round(jobs, tmp_path):
    once = read(write(jobs, tmp_path / "a.parquet"))
    twice = read(write(once, tmp_path / "b.parquet"))
    assert twice.provenance.notes == once.provenance.notes


def test_an_empty_table_is_written_and_read(jobs, tmp_path):
    empty = jobs.with_frame(jobs.collect().head(0))
    for suffix in SUFFIXES:
        assert len(read(write(empty, tmp_path / f"jobs{suffix}"))) == 0
