"""Charts are tested by their data and scales, not by their pixels."""

import numpy as np
import polars as pl
import pytest

from gridtwin.report import charts, series, theme


def data(chart, index=0):
    """Return the rows of a chart's data set."""
    return list(chart.to_dict()["datasets"].values())[index]


def test_distribution_draws_the_frame_it_is_given():
    frame = pl.DataFrame({"x": [1.0, 2.0], "share": [0.5, 1.0], "trace": ["real", "real"]})
    chart = charts.distribution(frame, "Run time (h)")
    assert data(chart) == frame.to_dicts()
    encoding = chart.to_dict()["encoding"]
    assert encoding["x"]["title"] == "Run time (h)"
    assert (
        encoding["x"]["scale"] | {"type": "linear", "domain": [1.0, 2.0]} == encoding["x"]["scale"]
    )


def test_seconds_on_a_log_axis_are_labelled_as_people_say_them():
    frame = pl.DataFrame({"x": [1.0, 1e6], "share": [0.5, 1.0], "trace": ["real", "real"]})
    x = charts.distribution(frame, "Wait", axis="log seconds").to_dict()["encoding"]["x"]
    assert x["scale"]["type"] == "log"
    assert {60, 3600, 86400} <= set(x["axis"]["values"])
    assert "'3600': '1 h'" in x["axis"]["labelExpr"]


def test_the_same_trace_has_the_same_colour_whatever_else_is_drawn():
    rows = [("synthetic", 1.0), ("other", 1.0), ("real", 1.0)]
    frame = pl.DataFrame(rows, schema=["trace", "x"], orient="row").with_columns(share=pl.lit(1.0))
    scale = charts.distribution(frame, "x").to_dict()["encoding"]["color"]["scale"]
    alone = charts.distribution(frame[:1], "x").to_dict()["encoding"]["color"]["scale"]
    assert scale["domain"] == ["real", "synthetic", "other"]
    assert alone["range"] == [scale["range"][1]]
    assert len(set(scale["range"])) == 3


def test_share_bars_keep_the_order_of_frequency():
    frame = series.shares({"real": pl.Series(["b", "b", "a"]), "synthetic": pl.Series(["a"])})
    chart = charts.share_bars(frame, "Queue")
    assert chart.to_dict()["encoding"]["y"]["sort"] == ["b", "a"]
    assert {(r["label"], r["trace"]): r["share"] for r in data(chart)}[("b", "real")] == 2 / 3


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(1.0, 46.0, [1, 2, 5, 10, 20]), (0.3, 2e4, [1, 10, 100, 1000, 10000]), (5e-5, 0.01, None)],
)
def test_log_axes_have_round_ticks(low, high, ticks):
    frame = pl.DataFrame({"x": [low, high], "share": [0.5, 1.0], "trace": ["real", "real"]})
    x = charts.distribution(frame, "Users", axis="log").to_dict()["encoding"]["x"]
    assert x["axis"]["values"] == (ticks or [5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2])


@pytest.mark.parametrize(("columns", "layers"), [(2, 2), (13, 1)])
def test_association_writes_numbers_only_where_there_is_room(columns, layers):
    names = [f"c{i}" for i in range(columns)]
    frame = pl.DataFrame({"row": names, "column": names, "value": [1.0] * columns})
    chart = charts.association(frame, order=names)
    assert len(chart.to_dict()["layer"]) == layers


def test_over_time_has_one_panel_a_trace_real_first():
    frame = pl.DataFrame(
        {"day": [0.0, 1.0, 0.0], "value": [1.0, 0.0, 2.0], "trace": ["synthetic", "real", "real"]}
    )
    chart = charts.over_time(frame, "Jobs").to_dict()
    assert chart["encoding"]["row"]["sort"] == ["real", "synthetic"]


def test_ratios_axis_holds_every_interval_and_sample():
    frame = pl.DataFrame(
        {"figure": ["wait"], "order": [0], "trace": ["synthetic"], "low": [0.1], "mid": [1.0],
         "high": [3.0]}
    )  # fmt: skip
    samples = pl.DataFrame({"figure": ["wait"], "trace": ["synthetic"], "mid": [40.0]})
    layers = charts.ratios(frame, samples).to_dict()["layer"]
    low, high = layers[1]["encoding"]["x"]["scale"]["domain"]
    assert low < 0.1
    assert high > 40


def test_units_are_added_where_the_name_does_not_say_them():
    assert theme.unit("cores_req") == ""
    assert theme.unit("walltime_req") == "s"
    assert theme.unit("mem_req") == "MB"
    assert theme.unit("core-hours") == ""


def test_a_single_value_still_has_an_axis():
    frame = series.cdf({"real": np.zeros(3), "synthetic": np.zeros(2)})
    low, high = charts.distribution(frame, "x").to_dict()["encoding"]["x"]["scale"]["domain"]
    assert low < 0 < high
