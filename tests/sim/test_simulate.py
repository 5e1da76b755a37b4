import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import gridtwin
from gridtwin.core.errors import InputError, SchemaError, UnknownNameError
from gridtwin.sim import Platform, Policy, Site, simulate
from gridtwin.trace import JobTable, Provenance

GRID = Platform((Site.of("A", 4), Site.of("B", 8)))
COLUMNS = {"submit_time": pl.Float64, "run_time": pl.Float64, "cores_req": pl.Int64}


def table(*rows, cores=None, **extra):
    """Jobs given as (submit, width, run)."""
    frame = pl.DataFrame(
        {
            "job_id": [str(k) for k in range(len(rows))],
            "submit_time": [row[0] for row in rows],
            "cores_req": [row[1] for row in rows],
            "run_time": [row[2] for row in rows],
            **extra,
        },
        schema_overrides=COLUMNS,
    )
    origin = Provenance(source="made up", rows_read=len(rows), machine_cores=cores)
    return JobTable.from_frame(frame, origin)


THREE = [(0.0, 3, 10.0), (1.0, 4, 10.0), (2.0, 1, 5.0)]


def test_the_result_is_a_job_table_with_simulated_times():
    jobs = table(
        *THREE, status=["finished", "failed", "finished"], start_time=[100.0] * 3, site=["X"] * 3
    )
    result = simulate(jobs, cores=4)
    frame = result.jobs.collect()
    assert frame["start_time"].to_list() == [0, 10, 2]
    assert frame["end_time"].to_list() == [10, 20, 7]
    assert frame["wait_time"].to_list() == [0, 9, 0]
    assert frame["site"].to_list() == ["machine"] * 3
    assert frame["status"].to_list() == ["finished", "failed", "finished"]
    assert result.jobs.provenance.machine_cores == 4
    assert "made up" in result.jobs.provenance.source
    assert (result.cores, result.policy, result.rejected) == (4, "easy", {})
    again = simulate(result.jobs, cores=4)
    assert_frame_equal(again.jobs.collect(), frame)


def test_what_could_have_started_when_is_not_kept_from_the_records():
    result = simulate(table(*THREE, eligible_time=[50.0] * 3), cores=4)
    assert "eligible_time" not in result.jobs


def test_summary_by_hand():
    summary = simulate(table(*THREE), cores=4).summary()
    assert summary["jobs"] == 3
    assert summary["mean_wait"] == 3
    assert summary["median_wait"] == 0
    assert summary["p95_wait"] == pytest.approx(8.1)
    assert summary["mean_bounded_slowdown"] == pytest.approx((1 + 1.9 + 1) / 3)
    assert summary["waiting_share"] == pytest.approx(1 / 3)
    assert summary["makespan"] == 20
    assert summary["utilisation"] == pytest.approx((30 + 40 + 5) / 80)
    assert summary["offered_load"] == pytest.approx(75 / 8)


def test_every_figure_of_the_summary_is_defined():
    for key in simulate(table(*THREE), cores=4).summary():
        figure = key.removeprefix("mean_").removeprefix("median_").removeprefix("p95_")
        assert figure in {*gridtwin.sim.result.DEFINITIONS, "policy", "broker", "seed"}


def test_timeline_by_hand():
    timeline = simulate(table(*THREE), cores=4).timeline
    assert timeline.rows() == [
        (0, "machine", 0, 1, 3),
        (1, "machine", 1, 1, 3),
        (2, "machine", 1, 2, 4),
        (7, "machine", 1, 1, 3),
        (10, "machine", 0, 1, 4),
        (20, "machine", 0, 0, 0),
    ]


def test_a_timeline_keeps_sites_apart_that_change_at_the_same_instant():
    jobs = table((0.0, 1, 5.0), (5.0, 2, 2.0), site=["A", "B"])
    assert simulate(jobs, platform=GRID, broker="recorded").timeline.rows() == [
        (0, "A", 0, 1, 1),
        (5, "A", 0, 0, 0),
        (5, "B", 0, 1, 2),
        (7, "B", 0, 0, 0),
    ]


def test_averages_over_bins_by_hand():
    averaged = simulate(table(*THREE), cores=4).averaged(4)
    assert averaged["time"].to_list() == [0, 5, 10, 15]
    assert averaged["queued"].to_list() == pytest.approx([0.8, 1, 0, 0])
    assert averaged["running"].to_list() == pytest.approx([1.6, 1.4, 1, 1])
    assert averaged["busy_cores"].to_list() == pytest.approx([3.6, 3.4, 4, 4])
    with pytest.raises(InputError, match="0 bins"):
        simulate(table(*THREE), cores=4).averaged(0)


ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 8), st.integers(0, 6)), max_size=25)


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_the_timeline_is_the_state_at_every_instant(rows):
    result = simulate(table(*rows), platform=GRID)
    s, frame = result.schedule, result.jobs.collect()
    timeline = result.timeline
    for name in GRID.names:
        here = (frame["site"] == name).to_numpy()
        states = timeline.filter(pl.col("site") == name)
        assert states["time"].is_sorted()
        assert states["time"].n_unique() == states.height
        for t in np.arange(-1, 80, 0.5):
            queued = int((here & (s.submit <= t) & (t < s.start)).sum())
            running = here & (s.start <= t) & (t < s.end)
            expected = (queued, int(running.sum()), int(s.width[running].sum()))
            past = states.filter(pl.col("time") <= t)
            assert (past.row(-1)[2:] if past.height else (0, 0, 0)) == expected


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_averages_keep_the_areas(rows):
    result = simulate(table(*rows), platform=GRID)
    s, averaged = result.schedule, result.averaged(7)
    bins = 7 * len(GRID.sites)
    assert averaged.height in (0, bins)
    if averaged.height:
        width = (s.end.max() - s.submit[0]) / 7
        assert averaged["busy_cores"].sum() * width == pytest.approx(np.dot(s.run, s.width))
        assert averaged["queued"].sum() * width == pytest.approx((s.start - s.submit).sum())


def test_jobs_that_cannot_run_are_counted_by_reason_and_the_rest_runs():
    jobs = table((0.0, 1, 1.0), (1.0, 99, 1.0), (None, 1, 1.0), (2.0, 1, -1.0), (3.0, 0, 1.0))
    result = simulate(jobs, cores=4)
    assert result.rejected == {
        "no submit time": 1,
        "negative run time": 1,
        "no size": 1,
        "wider than the machine": 1,
    }
    assert len(result.jobs) + sum(result.rejected.values()) == len(jobs)
    assert result.jobs.provenance.to_json()["rows_kept"] == 1
    assert result.jobs.collect()["job_id"].to_list() == ["0"]


def test_recorded_sites_are_kept_and_what_does_not_fit_them_is_counted():
    jobs = table(
        (0.0, 4, 5.0),
        (0.0, 5, 5.0),
        (1.0, 5, 5.0),
        (2.0, 1, 5.0),
        (3.0, 1, 5.0),
        site=["A", "A", "B", None, "C"],
    )
    result = simulate(jobs, platform=GRID, broker="recorded")
    assert result.rejected == {
        "wider than its site": 1,
        "no site recorded": 1,
        "site not in the platform": 1,
    }
    assert result.jobs.collect()["site"].to_list() == ["A", "B"]
    least = simulate(jobs, platform=GRID)
    assert least.rejected == {}
    assert simulate(table((0.0, 9, 1.0)), platform=GRID).rejected == {"wider than every site": 1}


@pytest.mark.parametrize("broker", [None, "least_loaded", "random", "round_robin"])
def test_every_broker_runs_every_job_where_it_fits(jobs, broker):
    platform = Platform((Site.of("small", 8), Site.of("large", 64), Site.of("middle", 32)))
    result = simulate(jobs, platform=platform, broker=broker, seed=3)
    assert len(result.jobs) == len(jobs)
    again = simulate(jobs, platform=platform, broker=broker, seed=3)
    assert_frame_equal(result.jobs.collect(), again.jobs.collect())
    widths = result.jobs.collect(["site", "cores_req"]).group_by("site").max()
    sizes = {site.name: site.cores for site in platform.sites}
    assert all(width <= sizes[site] for site, width in widths.rows())
    busy = result.timeline.group_by("site").agg(pl.col("busy_cores").max())
    assert all(peak <= sizes[site] for site, peak in busy.rows())


def test_the_machine_has_the_size_that_the_source_states(jobs):
    assert simulate(jobs).cores == 256
    assert simulate(table(*THREE)).cores == 8  # else the peak without any wait: 3 + 4 + 1


def test_a_platform_may_be_a_file(tmp_path):
    GRID.save(tmp_path / "grid.toml")
    assert simulate(table(*THREE), platform=tmp_path / "grid.toml").platform == GRID
    assert simulate(table(*THREE), platform=str(tmp_path / "grid.toml")).platform == GRID


@pytest.mark.parametrize("rows", [[], [(5.0, 2, 0.0)], [(5.0, 2, 3.0)]])
def test_empty_and_one_job_traces(tmp_path, rows):
    result = simulate(table(*rows), cores=4)
    assert len(result.jobs) == len(rows)
    assert result.summary()["mean_wait"] == (0 if rows else None)
    assert result.averaged(5).height in (0, 5)
    result.save(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["summary"]["offered_load"] is None


def test_a_saved_result_is_whole(tmp_path, jobs):
    result = simulate(jobs, cores=64)
    result.save(tmp_path / "run")
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["jobs.parquet", "summary.json", "timeline.parquet"]
    assert_frame_equal(pl.read_parquet(tmp_path / "run/jobs.parquet"), result.jobs.collect())
    assert_frame_equal(pl.read_parquet(tmp_path / "run/timeline.parquet"), result.timeline)
    document = json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))
    assert document["summary"] == result.summary()
    assert document["platform"] == {"site": [{"name": "machine", "cores": 64}]}
    assert "utilisation" in document["definitions"]


def test_the_table_may_be_of_gpus():
    frame = pl.DataFrame(
        {"job_id": ["a", "b"], "submit_time": [0, 0], "run_time": [5, 5], "gpus_req": [4, 4]}
    )
    result = simulate(JobTable.from_frame(frame), cores=4)
    assert result.unit == "gpus"
    assert result.jobs.collect()["wait_time"].to_list() == [0, 5]
    assert result.jobs.provenance.machine_cores is None


def test_bad_arguments_are_refused(tmp_path):
    jobs = table(*THREE)
    with pytest.raises(UnknownNameError, match="did you mean 'easy'"):
        simulate(jobs, policy="eassy")
    with pytest.raises(UnknownNameError, match="unknown broker"):
        simulate(jobs, broker="nearest")
    with pytest.raises(InputError, match="one of them"):
        simulate(jobs, cores=4, platform=GRID)
    with pytest.raises(InputError, match="cores: expected"):
        simulate(jobs, cores=-1)
    with pytest.raises(SchemaError, match="site"):
        simulate(jobs, platform=GRID, broker="recorded")
    with pytest.raises(InputError, match="in seconds"):
        simulate(table((0.0, 1, 1e300)), cores=4)
    with pytest.raises(SchemaError, match="submit_time"):
        simulate(JobTable.from_frame(pl.DataFrame({"job_id": ["a"]})))


def test_a_policy_may_be_given_itself():
    result = simulate(table(*THREE), cores=4, policy=Policy("mine"))
    assert result.policy == "mine"
    assert result.jobs.collect()["wait_time"].to_list() == [0, 9, 18]


def test_infinite_and_missing_numbers_are_counted_not_run():
    rows = [(0.0, 1, math.inf), (math.nan, 1, 1.0), (1.0, None, 1.0), (2.0, 1, 1.0)]
    result = simulate(table(*rows), cores=4)
    assert result.rejected == {"no submit time": 1, "no run time": 1, "no size": 1}


def test_a_real_trace_runs_without_a_wrong_number(data_dir):
    jobs = gridtwin.read(data_dir / "alcf" / "theta.csv.gz")
    first = simulate(jobs, policy="fcfs")
    easy = simulate(jobs, policy="easy")
    assert len(easy.jobs) + sum(easy.rejected.values()) == len(jobs)
    assert easy.timeline["busy_cores"].max() <= easy.cores
    assert easy.summary()["mean_wait"] < first.summary()["mean_wait"]
