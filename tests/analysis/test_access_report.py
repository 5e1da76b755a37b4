"""Data access in the analysis: by class and site, against the truth, unknown without records."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gridtwin.analysis import access, access_report, analyse
from gridtwin.core.errors import FormatError, InputError, SchemaError
from gridtwin.trace.examples import panda

RECORDS = ("traces", "files", "transfers", "replicas", "rses", "truth")
METHODS = ["traces", "transfers", "replicas", "best"]


@pytest.fixture(scope="module")
def example():
    return panda.load_traces(2, scale=0.2, seed=2)


@pytest.fixture(scope="module")
def records(example):
    return {name: getattr(example, name) for name in RECORDS}


@pytest.fixture(scope="module")
def whole(example, records):
    return analyse(example.jobs, **records)


def test_the_job_table_alone_tells_unknown_and_never_0(example):
    told = analyse(example.jobs)
    frame = told.frames["access_by_class"]
    assert set(frame["method"]) == {"jobs"}
    assert "unknown" in frame["access"].to_list()
    assert frame["remote_bytes"].null_count() == frame.height
    assert told.kpis["remote_share"].value is None
    assert told.kpis["remote_share"].n == 0
    assert told.kpis["access_known_share"].value == 0
    assert "access_by_site" not in told.frames


def test_the_table_read_in_batches_says_what_the_method_does(example):
    one = access.table_summary(example.jobs)
    other = access.summary(access.from_jobs(example.jobs))
    kept = ["access", "jobs", "files", "bytes", "bytes_share"]
    assert_frame_equal(one.select(kept), other.select(kept), check_row_order=False)


def test_shares_of_each_method_sum_to_one(whole):
    sums = whole.frames["access_by_class"].group_by("method", maintain_order=True)
    assert dict(sums.agg(pl.col("bytes_share").sum()).iter_rows()) == pytest.approx(
        dict.fromkeys(METHODS, 1.0), abs=1e-6
    )


def test_sites_sum_to_the_key_figure(whole):
    sites = whole.frames["access_by_site"]
    share = sites["remote_bytes"].sum() / sites["known_bytes"].sum()
    assert whole.kpis["remote_share"].value == pytest.approx(share, rel=1e-6)
    assert (
        sites["remote_bytes"].drop_nulls() <= sites.drop_nulls("remote_bytes")["known_bytes"]
    ).all()
    assert 0 < whole.kpis["remote_share"].value < whole.kpis["remote_share_at_most"].value < 1


def test_found_and_missed_make_the_truth(whole, example):
    frame = whole.frames["access_recovered"]
    assert frame["method"].to_list() == METHODS
    for kind in ("read", "moved"):
        both = frame[f"{kind}_found"] + frame[f"{kind}_missed"]
        assert both.to_list() == pytest.approx(frame[f"{kind}_truth"].to_list())
    true = example.truth.filter("remote")["bytes"].sum()
    assert frame["read_truth"].to_list() == pytest.approx([true] * 4, rel=1e-9)
    assert whole.kpis["read_recovered_by_traces"].value > 0.85
    assert whole.kpis["moved_recovered_by_transfers"].value < 0.6


def test_every_row_of_the_records_is_in_the_tally(whole, example):
    rows = whole.frames["access_rows"]
    for method, source in (("traces", "traces"), ("transfers", "transfers")):
        mine = rows.filter((pl.col("method") == method) & (pl.col("source") == source))
        assert mine["rows"].sum() == getattr(example, source).height


def test_the_time_of_transfers_is_a_share_with_its_n(whole):
    kpi = whole.kpis["transfer_time_share"]
    assert 0 <= kpi.value <= 1
    assert kpi.n > 0


def test_traces_alone_are_enough(example, records):
    told = analyse(example.jobs, traces=records["traces"])
    assert set(told.frames["access_by_class"]["method"]) == {"traces", "best"}
    assert "transfer_time" not in told.frames
    assert "remote_share_at_most" not in told.kpis


@pytest.mark.parametrize("name", ["transfers", "replicas"])
def test_records_that_need_the_files_say_so(example, records, name):
    with pytest.raises(InputError, match="table of files"):
        analyse(example.jobs, **{name: records[name]})


def test_records_without_their_columns_are_an_error_not_left_out(example, records):
    with pytest.raises(SchemaError, match="remoteSite"):
        analyse(example.jobs, traces=records["traces"].drop("remoteSite"))


def test_a_table_without_inputs_leaves_the_section_out(grid):
    jobs = grid.with_frame(grid.frame.drop("input_bytes", "dataset"))
    assert "no input_bytes" in analyse(jobs).left_out["access_by_class"]


def test_a_folder_of_parquet_and_csv_opens(records, tmp_path, example):
    records["traces"].write_csv(tmp_path / "traces.csv")
    records["files"].write_parquet(tmp_path / "files.parquet")
    records["replicas"].write_parquet(tmp_path / "replicas.parquet")
    opened = access_report.open_records(tmp_path)
    assert list(opened) == ["traces", "files", "replicas"]
    one = access.from_traces(example.jobs, opened["traces"], rses=records["rses"]).jobs
    other = access.from_traces(example.jobs, records["traces"], rses=records["rses"]).jobs
    assert_frame_equal(one, other)


def test_a_folder_without_records_or_with_a_broken_one_is_refused(tmp_path):
    with pytest.raises(InputError, match="no records of data access"):
        access_report.open_records(tmp_path)
    (tmp_path / "traces.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(FormatError, match=r"traces\.parquet"):
        access_report.open_records(tmp_path)


def test_a_size_that_is_no_number_is_a_clear_error(records, tmp_path, example):
    text = records["traces"].head(20).write_csv()
    first = text.splitlines()[1]
    size = str(records["traces"]["filesize"][0])
    (tmp_path / "traces.csv").write_text(text.replace(first, first.replace(size, "much")))
    opened = access_report.open_records(tmp_path)
    with pytest.raises(FormatError, match="cannot be read"):
        access_report.found_by(example.jobs, opened)
