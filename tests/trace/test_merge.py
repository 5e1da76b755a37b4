import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import InputError
from gridtwin.trace import JobTable, Provenance
from gridtwin.trace.merge import merge, read_all


def table(ids, submit, source="x", cores=8, **columns):
    frame = pl.DataFrame({"job_id": ids, "submit_time": submit, **columns})
    origin = Provenance(
        source=source, format="csv", rows_read=len(ids) + 1, dropped={"bad": 1}, sha256=source
    )
    return JobTable.from_frame(frame, Provenance(**{**vars(origin), "machine_cores": cores}))


def test_rows_are_sorted_and_counts_add_up():
    both = merge([table(["a", "c"], [1.0, 3.0], "x"), table(["b"], [2.0], "y", user=["u"])])
    frame = both.collect()
    assert frame["job_id"].to_list() == ["a", "b", "c"]
    assert frame["user"].to_list() == [None, "u", None]
    origin = both.provenance.to_json()
    assert (origin["rows_read"], origin["rows_kept"]) == (5, 3)
    assert origin["dropped"] == {"bad": 2}
    assert origin["source"] == "x, y"
    assert origin["machine_cores"] == 8


def test_a_job_in_two_sources_is_kept_once_and_counted():
    both = merge([table(["a", "b"], [1.0, 2.0]), table(["b", "c"], [2.0, 3.0], cores=9)])
    assert both.collect()["job_id"].to_list() == ["a", "b", "c"]
    assert both.provenance.dropped == {"bad": 2, "in more than one source": 1}
    assert both.provenance.machine_cores is None


def test_different_jobs_of_one_id_keep_apart():
    both = merge([table(["1", "2"], [1.0, 2.0]), table(["1"], [3.0])])
    assert both.collect()["job_id"].to_list() == ["1:1", "1:2", "2:1"]
    assert any("same job ids" in note for note in both.provenance.notes)


def test_the_fingerprint_depends_on_sources_and_order():
    x, y = table(["a"], [1.0], "x"), table(["b"], [2.0], "y")
    assert merge([x, y]).provenance.sha256 == merge([x, y]).provenance.sha256
    assert merge([x, y]).provenance.sha256 != merge([y, x]).provenance.sha256


def test_no_source_is_an_error():
    with pytest.raises(InputError, match="one or more files"):
        read_all([])


def test_one_source_is_read_as_it_is(jobs, tmp_path):
    gridtwin.write(jobs, tmp_path / "j.parquet")
    one, plain = read_all([tmp_path / "j.parquet"]), gridtwin.read(tmp_path / "j.parquet")
    assert one.provenance == plain.provenance
    assert one.collect().equals(plain.collect())
