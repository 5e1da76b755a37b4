"""What is encoded comes back, and what always held holds."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gridtwin
from gridtwin.models.encoding import Cells, Encoder, with_instants
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.number import Number, unit_of
from gridtwin.models.encoding.relative import Relative
from gridtwin.trace import JobTable

RNG = np.random.default_rng


def fitted(frame, seed=0):
    """Return an encoder, the frame's cells, and the frame that comes back."""
    table = JobTable.from_frame(frame).collect()
    ready = with_instants(table)
    encoder = Encoder.fit(ready, table.columns, RNG(seed))
    cells = encoder.encode(ready)
    return encoder, cells, encoder.finish([encoder.decode(cells, RNG(1))])


def any_cells(encoder, n, seed=0):
    """Return rows of cells and places that have nothing to do with each other."""
    rng = RNG(seed)
    cell = [rng.choice(c.size, n, p=c.mass / c.mass.sum()) for c in encoder.coders.values()]
    return Cells(np.column_stack(cell).astype(np.int32), rng.random((n, len(cell))))


def with_id(**columns):
    n = len(next(iter(columns.values())))
    return pl.DataFrame({"job_id": [str(i) for i in range(n)], **columns})


def test_a_trace_comes_back(jobs):
    frame = jobs.collect()
    _, _, again = fitted(frame)
    frequent = frame["user"].is_in(
        frame["user"].value_counts().filter(pl.col("count") >= 5)["user"].implode()
    )
    for name in frame.columns:
        if name in ("job_id", "user"):
            continue
        if frame.schema[name].is_numeric():
            np.testing.assert_allclose(again[name], frame[name], atol=1e-6)
        else:
            assert again[name].to_list() == frame[name].to_list(), name
    assert again["user"].filter(frequent).equals(frame["user"].filter(frequent))


@pytest.mark.parametrize("trace", ["mira", "theta"])
def test_a_real_trace_comes_back(data_dir, trace):
    frame = gridtwin.read(data_dir / f"alcf/{trace}.csv.gz").collect().head(6000)
    _, _, again = fitted(frame)
    for name in ("submit_time", "start_time", "end_time", "nodes_req", "walltime_req", "cores_req"):
        np.testing.assert_allclose(again[name], frame[name], atol=0.01, err_msg=name)
    for name in ("status", "raw_status"):
        assert again[name].to_list() == frame[name].to_list()


def test_an_atom_is_a_value_that_ten_rows_have():
    values = np.r_[np.full(10, 3.5), np.full(9, 4.25), np.arange(100, 181)]
    number = Number.fit(values)
    points = number.low[number.part < 0]
    assert points.tolist() == [3.5]
    cell, place = number.encode(np.array([3.5, 4.25]))
    assert number.part[cell].tolist() == [-1, 0]
    np.testing.assert_allclose(number.decode(cell, place), [3.5, 4.25], atol=0.3)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e12, 1e12) | st.integers(-5, 5) | st.just(np.nan), min_size=1, max_size=90)
)
def test_any_numbers_come_back(values):
    values = np.array(values, dtype=float)
    number = Number.fit(values)
    out = number.decode(*number.encode(values))
    np.testing.assert_allclose(out, values, rtol=1e-6, atol=1e-6)
    assert number.mass.sum() == pytest.approx(1)
    low, high = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    drawn = number.decode(RNG(0).integers(0, number.size, 50).astype(np.int32), RNG(0).random(50))
    drawn = drawn[~np.isnan(drawn)]
    assert ((drawn >= low - 1e-6) & (drawn <= high + 1e-6)).all()


def test_a_tail_goes_beyond_the_largest_value_seen():
    values = RNG(0).pareto(2.5, 20_000) * 100
    number = Number.fit(values)
    tail = int(number.tail[0])
    assert number.mass[tail] == pytest.approx(0.001, abs=2e-4)
    drawn = number.decode(np.full(4000, tail, dtype=np.int32), RNG(1).random(4000))
    assert drawn.max() > values.max()
    ahead = np.quantile(RNG(2).pareto(2.5, 2_000_000) * 100, [0.9992, 0.9995, 0.9998])
    np.testing.assert_allclose(np.quantile(drawn, [0.2, 0.5, 0.8]), ahead, rtol=0.25)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([3600, 5400.0], 1800),
        ([64, 192], 64),
        ([0.01, 2.5], 0.01),
        ([np.pi], 0),
        ([np.nan], 0),
        ([0], 1),
    ],
)
def test_unit_of(values, unit):
    assert unit_of(np.array(values, dtype=float)) == unit


def test_drawn_numbers_are_of_the_training_rows_unit():
    minutes = RNG(0).integers(1, 5000, 900) * 60.0
    number = Number.fit(minutes)
    drawn = number.decode(RNG(1).integers(0, number.size, 500).astype(np.int32), RNG(2).random(500))
    np.testing.assert_array_equal(drawn % 60, 0)


def test_a_number_that_repeats_keeps_to_values_seen():
    values = RNG(0).choice([1.0, 2, 4, 1000], 400, p=[0.5, 0.3, 0.19, 0.01])
    number = Number.fit(values)
    drawn = number.decode(RNG(1).integers(0, number.size, 99).astype(np.int32), RNG(2).random(99))
    assert set(drawn) <= set(values)


def test_rare_names_are_never_given_out_and_frequent_ones_are():
    names = ["often"] * 60 + ["some"] * 6 + ["four"] * 4 + [f"once{i}" for i in range(30)]
    encoder, cells, again = fitted(with_id(user=names, group=names[::-1]))
    out = again["user"].to_list()
    assert out[:66] == names[:66]
    assert not {n for n in out if n.startswith(("once", "four"))}
    assert len(set(out)) == 33  # a made-up name for each rare one
    drawn = encoder.decode(any_cells(encoder, 2000), RNG(0))
    assert not {n for n in drawn["group"] if n.startswith(("once", "four"))}
    saved = json.dumps(encoder.state()[0]) + "".join(
        bytes(a).decode() for k, a in encoder.state()[1].items() if k.endswith("public")
    )
    assert "once" not in saved
    assert "often" in saved
    assert len(cells) == 100


def test_made_up_names_collide_with_no_real_one():
    coder = Name.fit(np.arange(3.0), ("user~1", "b", "c"), np.zeros(3), RNG(0), prefix="user")
    assert not set(coder.public) & {"user~1", "b", "c"}


def test_words_of_a_system_are_given_out_however_rare():
    words = ["finished"] * 59 + ["cancelled"]
    assert fitted(with_id(status=words))[2]["status"].to_list() == words


def test_what_was_not_seen_at_fit_is_encoded(jobs):
    encoder, _, _ = fitted(jobs.collect())
    other = jobs.collect().with_columns(
        user=pl.lit("stranger"), queue=pl.lit(None, pl.String), run_time=pl.lit(1e9)
    )
    back = encoder.decode(encoder.encode(with_instants(other)), RNG(0))
    assert back["user"].n_unique() == 1
    assert back["user"][0] != "stranger"


def test_columns_that_others_determine_follow_them_in_any_draw():
    rng = RNG(0)
    user = rng.integers(0, 12, 1000)
    nodes = rng.choice([1, 2, 8], 1000)
    frame = with_id(
        user=[f"u{u}" for u in user],
        group=[f"g{u % 4}" for u in user],
        nodes_req=nodes,
        cores_req=nodes * 64,
        status=np.where(user == 3, "failed", "finished").tolist(),
    )
    encoder, _, _ = fitted(frame)
    assert {f.name for f in encoder.followers} == {"group", "cores_req", "status"}
    out = encoder.decode(any_cells(encoder, 5000), RNG(0))
    assert (out["cores_req"] == 64 * out["nodes_req"]).all()
    seen = frame.select("user", "group", "status").unique()
    assert out.select("user", "group", "status").unique().join(seen, on=seen.columns).height == 12


def test_run_times_pass_their_request_only_as_the_training_rows_do():
    rng = RNG(0)
    limit = rng.choice([600.0, 3600.0, 86400.0], 3000)
    killed = rng.random(3000) < 0.3
    run = np.where(killed, limit + rng.integers(0, 9, 3000), rng.random(3000) * 0.9 * limit)
    encoder, _, again = fitted(with_id(walltime_req=limit, run_time=run.round()))
    np.testing.assert_allclose(again["run_time"], run.round())
    out = encoder.decode(any_cells(encoder, 20_000), RNG(0))
    over = out["run_time"] - out["walltime_req"]
    assert over.max() <= 8
    assert (over >= 0).mean() == pytest.approx(killed.mean(), abs=0.02)


def test_cpu_time_stays_within_cores_times_run_time():
    rng = RNG(1)
    cores, run = rng.choice([1, 8, 64], 2000), rng.lognormal(5, 2, 2000).round(1)
    cpu = (rng.beta(8, 1, 2000) * cores * run).round(2)
    encoder, _, again = fitted(with_id(cores_req=cores, run_time=run, cpu_time=cpu))
    np.testing.assert_allclose(again["cpu_time"], cpu, atol=0.011)
    out = encoder.decode(any_cells(encoder, 20_000), RNG(0))
    assert (out["cpu_time"] <= out["cores_req"] * out["run_time"]).all()


def test_a_value_whose_base_is_unknown_is_drawn_as_such():
    base = np.r_[np.full(50, 100.0), np.full(50, np.nan)]
    values = np.r_[np.linspace(20, 90, 50), np.linspace(1000, 2000, 50)]
    coder = Relative.fit(values, base, "limit")
    np.testing.assert_allclose(coder.decode(*coder.encode(values, base), base, RNG(0)), values)
    swapped = coder.decode(*coder.encode(values, base), base[::-1], RNG(0))
    assert (swapped[50:] <= 100).all()
    assert (swapped[:50] >= 1000).all()


def test_lists_and_missing_values_are_states_of_their_own():
    codes = [["a:1", "b:2"], [], None, ["a:1"]] * 20
    frame = with_id(error_codes=codes, priority=[None, 1.5, None, 2.0] * 20)
    _, _, again = fitted(frame.cast({"error_codes": pl.List(pl.String)}))
    assert again["error_codes"].to_list() == codes
    assert again["priority"].to_list() == frame["priority"].to_list()


@pytest.mark.parametrize(
    "columns",
    [
        {"start_time": [5.0, 6.0], "end_time": [7.0, 9.5]},
        {"submit_time": [1.0, None], "start_time": [5.0, None], "end_time": [None, None]},
        {"end_time": [4.0, 5.0], "submit_time": [1.0, 2.0]},
        {"eligible_time": [3.0, None], "submit_time": [1.0, 2.0]},
    ],
)
def test_instants_come_back_from_whatever_there_is(columns):
    frame = with_id(**columns).cast(dict.fromkeys(columns, pl.Float64))
    table = JobTable.from_frame(frame).collect()
    again = fitted(frame)[2]
    assert again.drop("job_id").equals(table.drop("job_id"))


def test_nothing_but_ids_comes_back():
    assert fitted(with_id(parent_id=["a", "b"]))[2]["job_id"].to_list() == ["1", "2"]


def test_a_hundred_thousand_names_need_few_cells():
    n = 100_000
    encoder, cells, again = fitted(with_id(dataset=[f"data.{i}" for i in range(n)]))
    assert encoder.coders["dataset"].size == 1
    assert again["dataset"].n_unique() == n
    assert cells.cell.nbytes + cells.place.nbytes == 12 * n


def test_a_restored_encoder_decodes_the_same(jobs):
    encoder, cells, again = fitted(jobs.collect())
    meta, arrays = encoder.state()
    other = Encoder.restore(json.loads(json.dumps(meta)), arrays)
    assert other.finish([other.decode(cells, RNG(1))]).equals(again)


def test_a_number_that_is_nearly_whole_is_not_rounded():
    values = np.array([0.0, 0.99999])
    number = Number.fit(values)
    np.testing.assert_allclose(number.decode(*number.encode(values)), values, rtol=1e-6)
