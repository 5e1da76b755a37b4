import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import JobTable
from gridtwin.trace.resample import block_length, body, bootstrap_blocks

DAY, WEEK = 86400.0, 7 * 86400.0
ORIGIN = 1.7e9 - 1.7e9 % 3600


def trace(days: float, n: int = 500) -> JobTable:
    submit = ORIGIN + np.sort(np.random.default_rng(1).uniform(0, days * DAY, n))
    submit[0], submit[-1] = ORIGIN + 60, ORIGIN + days * DAY
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(n)],
            "user": [f"u{i}" for i in range(n)],
            "submit_time": submit,
            "start_time": submit + 5,
            "end_time": submit + 25,
        }
    )
    return JobTable.from_frame(frame)


def drawn(days: float, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    jobs = trace(days)
    return jobs.collect(), bootstrap_blocks(jobs, np.random.default_rng(seed)).collect()


def test_each_job_moves_by_whole_weeks_and_keeps_its_start_and_end():
    real, out = drawn(38)
    both = out.join(real, on="user", suffix="_real")
    moved = (both["submit_time"] - both["submit_time_real"]).to_numpy()
    np.testing.assert_allclose(moved % WEEK, 0)
    assert np.unique(moved).size > 2
    np.testing.assert_allclose(out["start_time"] - out["submit_time"], 5)
    np.testing.assert_allclose(out["end_time"] - out["submit_time"], 25)


def test_span_origin_order_and_ids():
    real, out = drawn(38)
    assert out["submit_time"].is_sorted()
    assert out["submit_time"][0] >= ORIGIN
    assert out["submit_time"][-1] <= real["submit_time"][-1]
    assert out["job_id"].n_unique() == out.height
    assert 0.6 * real.height < out.height < 1.4 * real.height


def test_every_week_of_the_result_is_one_real_week():
    real, out = drawn(38)
    origin = body(real["submit_time"].to_numpy())[0] // 3600 * 3600
    week = ((out["submit_time"] - origin) // WEEK).to_numpy()
    source = (
        (out.join(real, on="user", maintain_order="left")["submit_time_right"] - origin) // WEEK
    ).to_numpy()
    assert all(np.unique(source[week == w]).size == 1 for w in np.unique(week))
    inside = body(real["submit_time"].to_numpy())
    full = np.bincount(((inside - origin) // WEEK).astype(int))
    for w in range(5):
        assert (week == w).sum() == full[int(source[week == w][0])]


def test_short_traces_use_days_then_hours():
    assert block_length(trace(38).collect()["submit_time"].to_numpy()) == WEEK
    assert block_length(trace(20).collect()["submit_time"].to_numpy()) == DAY
    assert block_length(trace(2).collect()["submit_time"].to_numpy()) == 3600
    real, out = drawn(20)
    both = out.join(real, on="user", suffix="_real")
    moved = (both["submit_time"] - both["submit_time_real"]).to_numpy()
    np.testing.assert_allclose(moved % DAY, 0)


def test_seed_decides():
    assert drawn(38, 3)[1].equals(drawn(38, 3)[1])
    assert not drawn(38, 3)[1].equals(drawn(38, 4)[1])


def test_too_short_or_without_times_is_refused():
    with pytest.raises(InputError, match="at least 4 hours"):
        bootstrap_blocks(trace(0.1), np.random.default_rng(0))
    untimed = JobTable.from_frame(pl.DataFrame({"job_id": ["1"]}))
    with pytest.raises(SchemaError, match="submit_time"):
        bootstrap_blocks(untimed, np.random.default_rng(0))


def test_rows_without_submit_time_are_left_out():
    jobs = trace(38)
    hole = pl.when(pl.col("job_id") != "7").then(pl.col("submit_time"))
    frame = jobs.collect().with_columns(submit_time=hole)
    out = bootstrap_blocks(JobTable.from_frame(frame), np.random.default_rng(0)).collect()
    assert out["submit_time"].null_count() == 0
    assert "u7" not in out["user"]


def test_stray_jobs_at_the_edges_do_not_stretch_the_span():
    frame = trace(38, 800).collect()
    early = frame.head(3).with_columns(pl.col("submit_time") - 60 * DAY, user=pl.lit("early"))
    jobs = JobTable.from_frame(pl.concat([early, frame]))
    assert block_length(body(jobs.collect()["submit_time"].to_numpy())) == WEEK
    out = bootstrap_blocks(jobs, np.random.default_rng(0)).collect()
    assert "early" not in out["user"]
    assert out["submit_time"][0] >= ORIGIN
