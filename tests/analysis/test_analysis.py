"""Known answers on tables small enough to count by hand."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from gridtwin.analysis import analyse, arrivals, cpu, data, errors, queue, requests, reuse, waste
from gridtwin.analysis import status as ends
from gridtwin.analysis.base import histogram, wilson
from gridtwin.core.errors import InputError, SchemaError
from gridtwin.trace import tables

from .conftest import table


def by(frame, key):
    return {row[key]: row for row in frame.iter_rows(named=True)}


def test_wilson_interval_of_newcombe_1998():
    # R. G. Newcombe, Stat. Med. 17 (1998) 857, table I, method 3: 81/263 and 15/148
    low, high = wilson([81, 15, 0], [263, 148, 20])
    assert low == pytest.approx([0.2553, 0.0624, 0.0], abs=1e-4)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611], abs=1e-4)


def test_no_trials_tell_nothing():
    low, high = wilson([0], [0])
    assert (low[0], high[0]) == (0.0, 1.0)


def test_histogram_begins_a_bin_at_its_edge_and_keeps_zeros_apart():
    frame = pl.LazyFrame({"x": [0.0, 1000.0, 999.0, -1.0, None, float("nan"), float("inf")]})
    found = histogram(frame, pl.col("x"), per_decade=1)
    assert found["n"].to_list() == [1, 1, 1]
    assert found["low"].to_list() == pytest.approx([0, 100, 1000])
    assert found["share"].sum() == pytest.approx(1)


def test_queue_time_is_start_less_creation_of_jobs_that_started(grid):
    found = queue.queue_time(grid).row(0, named=True)
    assert found["n"] == 5
    assert found["p50"] == 100
    assert found["mean"] == pytest.approx((100 + 100 + 1000 + 1000 + 100) / 5)
    assert queue.queue_histogram(grid)["n"].sum() == 5


def test_queue_time_by_group(grid):
    assert by(queue.queue_time(grid, "site"), "group")["X"]["n"] == 3
    assert "(unknown)" in queue.queue_time(grid, "site")["group"].to_list()
    assert queue.queue_time(grid, "size")["group"].to_list() == ["1", "2", "5 to 8"]
    assert queue.queue_time(grid, "hour")["group"].to_list() == ["00", "01", "02"]
    assert queue.queue_time(grid, "hour")["n"].to_list() == [2, 2, 1]
    assert queue.queue_time(grid, "priority")["group"][0] == "up to 2"
    with pytest.raises(InputError, match="expected all, site"):
        queue.queue_time(grid, "colour")


def test_queue_time_is_split_where_activation_is_known(grid):
    found = by(queue.queue_split(grid), "part")
    assert found["data wait"]["n"] == 4
    assert found["data wait"]["mean"] == pytest.approx((10 + 10 + 0 + 100) / 4)
    assert found["data wait"]["share"] == pytest.approx(120 / 2200)


def test_statuses_by_jobs_and_core_hours(grid):
    found = by(ends.status_shares(grid), "status")
    assert found["failed"]["share"] == pytest.approx(3 / 6)
    assert found["failed"]["core_hours"] == pytest.approx(1 + 8)
    assert found["finished"]["core_hours"] == pytest.approx(1 + 4)


def test_failure_rate_leaves_closed_jobs_out(grid):
    assert ends.failure_rate(grid).row(0, named=True)["rate"] == pytest.approx(3 / 5)
    assert by(ends.failure_rate(grid, "site"), "group")["X"]["failed"] == 1
    sizes = ends.failure_rate(grid, "input size")["group"].to_list()
    assert sizes == ["no input", "1 GB to 3.2 GB", "3.2 GB to 10 GB"]


def test_last_attempts_are_those_that_no_job_retries():
    jobs = table(parent_id=[None, "0", "1"], status=["failed", "failed", "finished"])
    assert ends.last_attempts(jobs).collect()["job_id"].to_list() == ["2"]
    with pytest.raises(SchemaError, match="no parent_id"):
        ends.last_attempts(table(status=["failed"]))


@pytest.mark.parametrize(
    ("codes", "guilty"),
    [
        (["pilot:1099"], ["pilot:1099"]),
        (["taskbuffer:300"], ["taskbuffer:300"]),
        (["taskbuffer:300", "jobdispatcher:100"], ["jobdispatcher:100"]),
        (["ddm:200", "pilot:1137"], ["pilot:1137"]),
        (["sup:8970", "ddm:200"], ["ddm:200", "sup:8970"]),
        (["exe:65", "pilot:1305", "transexit:65"], ["pilot:1305"]),
        (["exe:65", "pilot:1235"], ["pilot:1235"]),
        (["pilot:1099", "exe:65"], ["exe:65", "pilot:1099"]),
        ([], []),
    ],
)
def test_which_code_is_blamed(codes, guilty):
    assert errors.blame(codes) == guilty


def failures():
    return table(
        status=["failed"] * 4 + ["finished"],
        run_time=[3600.0] * 5,
        cores_req=[1, 2, 3, 4, 5],
        error_codes=[["exe:65", "pilot:1305"], ["ddm:100", "pilot:1099"], ["pilot:1305"], [], []],
    )


def test_any_component_passes_100_percent_and_blame_does_not():
    combined = errors.combinations(failures())
    components = errors.error_components(combined)
    assert by(components, "component")["pilot"]["share"] == pytest.approx(3 / 4)
    assert components["share"].sum() == pytest.approx(6 / 4)
    codes = errors.error_codes(combined, tables.error_codes())
    assert codes["share_blamed"].sum() == pytest.approx(1)
    found = by(codes, "code")
    assert found["pilot:1305"]["blamed"] == 2
    assert found["exe:65"]["blamed"] == 0
    assert found["ddm:100"]["blamed"] == pytest.approx(0.5)
    assert found["pilot:1305"]["core_hours"] == pytest.approx(1 + 3)
    assert found["pilot:1305"]["name"] == "PAYLOADEXECUTIONFAILURE"
    assert found["pilot:1305"]["stage"] == "payload"
    assert found[errors.NO_CODE]["n"] == 1
    assert errors.several_codes(combined) == (0.5, 4)


def test_codes_that_occur_together():
    found = errors.error_pairs(errors.combinations(failures()))
    assert found.rows() == [
        ("ddm:100", "pilot:1099", 1, 1.0),
        ("exe:65", "pilot:1305", 1, 1.0),
        ("pilot:1099", "ddm:100", 1, 1.0),
        ("pilot:1305", "exe:65", 1, 0.5),
    ]


def test_waste_is_cores_times_wall_of_failed_jobs(grid):
    found = waste.wasted_total(grid)
    assert found["wasted"] == pytest.approx(1 + 8)
    assert found["all"] == pytest.approx(1 + 1 + 8 + 4)
    assert found["wall_wasted"] == pytest.approx(2)
    assert (found["n"], found["n_all"]) == (2, 4)
    sites = by(waste.wasted(grid, "site"), "group")
    assert sites["Y"]["share_wasted"] == pytest.approx(8 / 9)
    assert sites["X"]["share_group"] == pytest.approx(1 / 6)
    combined = waste.wasted_by_combination(grid, errors.combinations(grid))
    assert by(combined, "group")["pilot:1099"]["share_all"] == pytest.approx(8 / 14)


def test_efficiency_is_clipped_and_flagged(grid):
    found = cpu.efficiency(grid).row(0, named=True)
    # 1800/3600, 7200/3600 -> 1, 14400/28800, 7200/14400; no run, no efficiency
    assert (found["n"], found["clipped"]) == (4, 1)
    assert found["mean"] == pytest.approx((0.5 + 1 + 0.5 + 0.5) / 4)
    assert found["total"] == pytest.approx((1800 + 3600 + 14400 + 7200) / (14 * 3600))
    bins = cpu.efficiency_histogram(grid)
    assert bins.filter("clipped")["n"].to_list() == [1]
    assert bins["high"].max() == 1


def test_site_power_takes_the_most_cores_at_a_full_hour(grid):
    found = by(cpu.site_power(grid), "site")
    # X at 1 h: two jobs of one core; at 3 h and 4 h: one of two cores. Y at 2 h: eight cores
    assert found["X"]["cores"] == 2
    assert found["Y"]["cores"] == 8
    assert found["Y"]["power"] == pytest.approx(96)
    assert not found["Y"]["outlier"]


def test_a_site_of_other_power_is_an_outlier():
    n = 12
    jobs = table(
        site=[f"s{i}" for i in range(n)],
        start_time=[0.0] * n,
        end_time=[7200.0] * n,
        cores_req=[4] * n,
        core_power=[10.0 + i % 3 for i in range(n - 1)] + [100.0],
    )
    found = cpu.site_power(jobs).filter("outlier")
    assert found["site"].to_list() == [f"s{n - 1}"]


def test_size_of_a_data_set_is_what_one_task_read_of_it(grid):
    found = by(data.dataset_sizes(grid), "dataset")
    assert found["d1"] == {"dataset": "d1", "tasks": 2, "bytes": 10e9}
    assert found["d2"]["bytes"] == 5e9
    retried = grid.with_frame(grid.frame.with_columns(attempt=pl.Series([0, 1, 0, 0, 1, 0])))
    assert by(data.dataset_sizes(retried), "dataset")["d1"]["bytes"] == 5e9


def test_small_sites_are_pooled(grid):
    found = by(data.site_footprint(grid, pooled=0.4), "site")
    assert found["Others"]["sites"] == 2
    assert found["Others"]["n"] == 3
    assert found["X"]["datasets"] == 1
    assert sum(row["share"] for row in found.values()) == pytest.approx(1)


def test_run_over_request_keeps_overruns_in_a_last_row(grid):
    found = requests.run_over_request(grid)
    assert found["n"].sum() == 4
    last = found.filter(pl.col("high").is_null())
    assert (last["low"].item(), last["n"].item()) == (1.0, 1)


def test_sizes_and_users(grid):
    assert requests.sizes(grid)["n"].to_list() == [3, 1, 1, 1]
    found = by(requests.users(grid), "user")
    assert (found["a"]["n"], found["a"]["failed"], found["(unknown)"]["n"]) == (3, 2, 1)


def test_days_weeks_and_gaps():
    submit = np.array([0.0, 0.0, 10.0, 86400.0 * 2])
    days = arrivals.arrival_days(submit)
    assert days["jobs"].to_list() == [3, 0, 1]
    assert days["day"][0] == date(1970, 1, 1)
    assert days["weekday"][0] == 4
    week = arrivals.arrival_week(submit)
    assert week.filter(pl.col("hour") == 72)["jobs"].item() == 3  # a Thursday
    gaps = arrivals.arrival_gaps(submit)
    assert gaps["n"].to_list() == [1, 1, 1]
    assert gaps["high"][0] == 0


def test_a_wrong_clock_does_not_fill_the_memory():
    submit = np.array([0.0, 2e11])
    for function in (arrivals.arrival_days, arrivals.arrival_acf, arrivals.dispersions):
        assert function(submit).is_empty()


def test_bursts_are_runs_of_one_sender():
    jobs = table(user=["a", "b", "a", "a", "b"], submit_time=[0.0, 1.0, 50.0, 100.0, 1000.0])
    found = by(arrivals.bursts(jobs), "size")
    assert (found["1"]["n"], found["1"]["jobs"]) == (2, 2)
    assert (found["3 to 4"]["n"], found["3 to 4"]["jobs"]) == (1, 3)


def used(names):
    return pl.DataFrame({"dataset": list(names), "at": np.arange(len(names)) * 86400.0, "jobs": 1})


def test_uses_of_data_sets(grid):
    assert reuse.uses(grid)["dataset"].to_list() == ["d1", "d2", "d1"]
    found = reuse.use_counts(used("aabac"))
    assert found.select("uses", "n").rows() == [(1, 2), (3, 1)]


def test_reuse_distance_counts_other_names_between():
    # a a: 0; b ... b over a: 1; a over b, c: 2; c over a, b ... by hand
    found = reuse.reuse_distance(used("aabcbabc"))
    counted = {row["low"]: row["n"] for row in found.iter_rows(named=True)}
    # distances: a 0, b 1 (c), a 2 (b, c), b 1 (a), c 2 (a, b); first uses a, b, c
    assert counted == {0: 1, 1: 2, 2: 2, None: 3}
    assert found.filter(pl.col("low") == 2)["hit_rate"].item() == pytest.approx(5 / 8)


def test_reuse_distance_agrees_with_a_stack():
    rng = np.random.default_rng(3)
    names = rng.integers(0, 30, 400)
    stack, expected = [], []
    for name in names:
        expected.append(stack.index(name) if name in stack else None)
        stack = [name] + [x for x in stack if x != name]
    found = reuse.reuse_distance(used([f"{name:02}" for name in names]))
    for row in found.drop_nulls("low").iter_rows(named=True):
        inside = [d for d in expected if d is not None and row["low"] <= d <= row["high"]]
        assert row["n"] == len(inside)


def test_zipf_finds_the_exponent_of_an_exact_law():
    names = [f"{r:03}" for r in range(1, 201) for _ in range(round(1e5 / r))]
    found = reuse.zipf(used(names)).row(0, named=True)
    assert found["s"] == pytest.approx(1.0, abs=0.01)
    assert found["distance"] < 0.01


def test_a_forecast_beats_last_week_where_uses_are_independent():
    rng = np.random.default_rng(0)
    rate = rng.gamma(0.5, 2.0, 200)
    rows = [
        (f"{i}", week * 604800.0 + rng.uniform(0, 604800.0), 1)
        for week in range(9)
        for i in range(200)
        for _ in range(rng.poisson(rate[i]))
    ]
    frame = pl.DataFrame(rows, ["dataset", "at", "jobs"], orient="row").sort("at")
    found = reuse.popularity(frame)
    assert found.height >= 3
    assert found["model_mae"].mean() < found["last_mae"].mean()
    assert found["model_rank"].mean() > found["last_rank"].mean()


def test_every_analysis_is_made_or_left_out_with_a_reason(grid):
    found = analyse(grid)
    assert {"queue_time_by_all", "error_codes", "waste_by_task", "dataset_uses"} <= set(
        found.frames
    )
    assert found.left_out == {"popularity": "no job tells", "arrival_acf": "no job tells"} or all(
        found.left_out.values()
    )
    assert set(found.definitions) == set(found.frames)
    assert all(kpi.definition and kpi.n >= 0 for kpi in found.kpis.values())
    assert found.kpis["component_share_sum"].n == 3


def test_the_order_of_rows_does_not_matter(grid):
    turned = grid.with_frame(grid.frame.reverse())
    first, second = analyse(grid), analyse(turned)
    assert first.kpis == second.kpis
    for name, frame in first.frames.items():
        assert frame.equals(second.frames[name]), name


@pytest.mark.parametrize("kind", ["empty", "one", "nulls", "bare"])
def test_tables_that_say_little(grid, kind):
    frame = grid.collect()
    nulls = [pl.lit(None, t).alias(c) for c, t in frame.schema.items() if c != "job_id"]
    frame = {
        "empty": frame.clear(),
        "one": frame.head(1),
        "nulls": frame.select("job_id", *nulls),
        "bare": frame.select("job_id"),
    }[kind]
    found = analyse(grid.with_frame(frame))
    assert found.kpis["jobs"].value == frame.height
    assert all(kpi.value is None or np.isfinite(kpi.value) for kpi in found.kpis.values())


def test_sites_follow_the_map_of_queues(grid):
    queues = pl.DataFrame({"queue": ["X1", "X2", "Y1"], "site": ["P", "P", "Q"]})
    found = analyse(grid, queue_map=queues)
    assert set(found.frames["efficiency_by_site"]["group"]) == {"P", "Q"}
    with pytest.raises(SchemaError, match="queue"):
        analyse(table(status=["failed"]), queue_map=queues)


def test_saved_frames_read_back(grid, tmp_path):
    found = analyse(grid)
    found.save(tmp_path)
    for name, frame in found.frames.items():
        assert pl.read_parquet(tmp_path / "frames" / f"{name}.parquet").equals(frame)
        assert (tmp_path / "frames" / f"{name}.csv").read_text().count("\n") == frame.height + 1
