import numpy as np
import polars as pl
import pytest

from gridtwin.report import series

MONDAY = 4 * 86400.0  # 1970-01-05 00:00 UTC was a Monday


def line(frame: pl.DataFrame, trace: str) -> list[tuple[float, float]]:
    return frame.filter(trace=trace).select("x", "share").rows()


def test_cdf_has_the_corners_of_both_step_functions_on_one_range():
    frame = series.cdf({"real": np.array([1.0, 2.0, 2.0, 4.0]), "synthetic": np.array([3.0])})
    real = [(1.0, 0.25), (2.0, 0.75), (4.0, 1.0), (4.0, 1.0)]
    assert line(frame, "real") == real
    assert line(frame, "synthetic") == [(1.0, 0.0), (3.0, 1.0), (4.0, 1.0)]


def test_cdf_on_a_log_axis_begins_with_the_share_at_or_below_its_left_end():
    values = {"real": np.array([0.0, 0.0, 1.0, 10.0, np.nan])}
    frame = series.cdf(values, log=True)
    assert line(frame, "real") == [(1.0, 0.75), (10.0, 1.0), (10.0, 1.0)]
    floored = series.cdf({"real": np.array([0.1, 5.0, 50.0])}, log=True, floor=1.0)
    assert line(floored, "real")[0] == (1.0, pytest.approx(1 / 3))


@pytest.mark.parametrize("log", [False, True])
def test_cdf_of_many_values_is_thinned_but_stays_true(log):
    rng = np.random.default_rng(1)
    values = rng.lognormal(3, 2, 20_000)
    frame = series.cdf({"real": values}, log=log)
    assert frame.height <= 302
    x, share = frame["x"].to_numpy(), frame["share"].to_numpy()
    assert np.all(np.diff(x) >= 0)
    assert np.all(np.diff(share) >= 0)
    exact = np.searchsorted(np.sort(values), x, side="right") / len(values)
    np.testing.assert_allclose(share, exact, atol=1e-12)
    # between two corners the drawn step is never off by more than one step of the thinning
    assert np.diff(share).max() < 0.02


def test_cdf_of_nothing_is_empty():
    assert series.cdf({"real": np.array([]), "synthetic": np.array([np.nan])}).height == 0
    assert series.cdf({"real": np.zeros(3)}, log=True).height == 0


def test_shares_keep_the_top_labels_of_the_first_trace_and_add_up_to_one():
    real = pl.Series(["a"] * 5 + ["b"] * 3 + ["c"] + [None])
    synthetic = pl.Series(["a", "b", "z", "z"])
    frame = series.shares({"real": real, "synthetic": synthetic}, top=2)
    assert frame.filter(trace="real").select("label", "share").rows() == [
        ("a", 0.5),
        ("b", 0.3),
        ("other", 0.2),
    ]
    assert frame.filter(trace="synthetic")["share"].to_list() == [0.25, 0.25, 0.5]


def test_shares_say_none_for_a_missing_label_and_leave_out_an_empty_rest():
    frame = series.shares({"real": pl.Series(["a", None])})
    assert sorted(frame["label"].to_list()) == ["(none)", "a"]


def test_shares_of_an_empty_trace_are_zero():
    empty = pl.Series([], dtype=pl.String)
    frame = series.shares({"real": pl.Series(["a"]), "synthetic": empty})
    assert frame.filter(trace="synthetic")["share"].to_list() == [0.0]


def test_concentration_counts_from_the_busiest():
    frame = series.concentration({"real": pl.Series(["u"] * 6 + ["v"] * 3 + ["w"])})
    assert line(frame, "real") == [(1.0, 0.6), (2.0, 0.9), (3.0, 1.0)]


def test_hour_of_week_starts_on_monday_and_is_a_mean_over_weeks():
    two_weeks = 14 * 86400.0 - 1
    times = MONDAY + np.array([0.0, 10.0, 3600.0, 7 * 86400.0, two_weeks])
    frame = series.hour_of_week({"real": times})
    jobs = dict(frame.select("hour", "jobs").rows())
    assert len(jobs) == 168
    assert jobs[0] == 1.5
    assert jobs[1] == 0.5
    assert jobs[167] == 0.5
    assert sum(jobs.values()) == pytest.approx(len(times) / 2)


def test_hour_of_week_leaves_out_hours_that_a_short_trace_does_not_hold():
    frame = series.hour_of_week({"real": MONDAY + np.array([3600.0, 3 * 3600.0])})
    assert frame.select("hour", "jobs").rows() == [(1, 1.0), (2, 0.0), (3, 1.0)]


def test_hour_of_week_needs_no_memory_for_a_huge_span():
    frame = series.hour_of_week({"real": np.array([0.0, 1e15])})
    assert frame.height == 168


@pytest.mark.parametrize(
    ("days", "unit"),
    [(0.01, "minute"), (10, "hour"), (180, "day"), (2000, "week"), (1e7, "50 years")],
)
def test_counts_over_time_choose_a_bin_that_suits_the_span(days, unit):
    times = np.array([0.0, days * 86400.0])
    frame, found = series.counts_over_time({"real": times})
    assert found == unit
    assert frame.height <= 401
    assert frame["jobs"].sum() == 2


def test_counts_over_time_begin_with_each_traces_own_first_job():
    days = np.array([0.0, 0.5, 1.5, 30.0]) * 86400.0
    frame, _ = series.counts_over_time({"real": days, "synthetic": days + 1e9})
    real = frame.filter(trace="real").drop("trace")
    assert real.equals(frame.filter(trace="synthetic").drop("trace"))
    assert real["start"][0] == 0


def test_step_bins_weigh_by_time_and_keep_peaks():
    time = np.array([0.0, 1.0, 2.0, 10.0])
    value = np.array([4.0, 100.0, 2.0, 0.0])
    frame = series.step_bins(time, value, bins=2)
    assert frame["mean"].to_list() == pytest.approx([(4 + 100 + 3 * 2) / 5, 2.0])
    assert frame["max"].to_list() == [100.0, 2.0]


def test_step_bins_conserve_the_area_of_a_long_timeline():
    rng = np.random.default_rng(3)
    time = np.sort(rng.random(10_000))
    value = rng.integers(0, 50, 10_000).astype(float)
    frame = series.step_bins(time, value)
    width = (frame["end"] - frame["start"]).to_numpy()
    area = float(np.sum(value[:-1] * np.diff(time)))
    assert float(frame["mean"].to_numpy() @ width) == pytest.approx(area)
    assert frame["max"].max() == value[:-1].max()


@pytest.mark.parametrize("time", [[], [5.0], [5.0, 5.0]])
def test_step_bins_of_an_instant_are_empty(time):
    assert series.step_bins(np.array(time), np.ones(len(time))).height == 0


def test_total_timeline_adds_sites_that_change_at_different_times():
    timeline = pl.DataFrame(
        {
            "time": [0.0, 1.0, 1.0, 2.0, 3.0],
            "site": ["A", "B", "A", "A", "B"],
            "queued": [1, 2, 0, 0, 0],
            "running": [0, 0, 1, 0, 2],
            "busy_cores": [0, 0, 8, 0, 16],
        }
    )
    total = series.total_timeline(timeline)
    assert total["time"].to_list() == [0.0, 1.0, 2.0, 3.0]
    assert total["queued"].to_list() == [1, 2, 2, 0]
    assert total["busy_cores"].to_list() == [0, 8, 0, 16]
