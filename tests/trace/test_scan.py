import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import FormatError, InputError
from gridtwin.trace.scan import scan


def test_a_folder_of_files_is_one_table(jobs, tmp_path):
    frame = jobs.collect()
    frame.head(100).write_parquet(tmp_path / "1.parquet")
    frame.slice(100).drop("group").write_parquet(tmp_path / "2.parquet")
    found = scan(tmp_path)
    assert len(found) == 300
    assert found.provenance.rows_read == 300
    assert found.collect()["group"].null_count() == 200


def test_notes_of_the_file_are_kept(jobs, tmp_path):
    noted = jobs.with_frame(jobs.frame, "a note")
    gridtwin.write(noted, tmp_path / "a.parquet")
    assert "a note" in scan(tmp_path / "a.parquet").provenance.notes


def test_rows_that_cannot_be_true_are_counted_by_reason(jobs, tmp_path):
    frame = jobs.collect().with_columns(
        run_time=pl.when(pl.int_range(pl.len()) < 3).then(-1.0).otherwise("run_time"),
        wait_time=pl.when(pl.int_range(pl.len()) == 9).then(float("nan")).otherwise("wait_time"),
    )
    frame.write_parquet(tmp_path / "a.parquet")
    found = scan(tmp_path / "a.parquet")
    assert len(found) == 296
    assert found.provenance.dropped["negative run time"] == 3
    assert sum(found.provenance.dropped.values()) == 4


def test_what_is_no_canonical_parquet_is_refused(tmp_path):
    with pytest.raises(InputError, match="no Parquet files"):
        scan(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FormatError, match="no readable Parquet"):
        scan(tmp_path)
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(FormatError, match="no column 'job_id'"):
        scan(tmp_path)
    pl.DataFrame({"job_id": ["1"], "run_time": ["long"]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(FormatError, match="'run_time' is String"):
        scan(tmp_path)
