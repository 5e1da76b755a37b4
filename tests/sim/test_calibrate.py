import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import wasserstein_distance

import gridtwin
from gridtwin.core.errors import FormatError, InputError, MissingExtraError, SchemaError
from gridtwin.sim import Platform, Pool, Site
from gridtwin.sim.assemble import Rules
from gridtwin.sim.calibrate import Calibration, Setting, calibrate
from gridtwin.sim.calibration.caps import user_caps
from gridtwin.sim.calibration.losses import Loss, blocks_of, distance, draws, measured
from gridtwin.sim.calibration.records import records_of
from gridtwin.sim.calibration.search import optuna as optuna_or_error
from gridtwin.sim.calibration.search import search, simplest, total
from gridtwin.sim.calibration.settings import Parameter
from gridtwin.sim.calibration.trial import run_trial
from gridtwin.trace import JobTable, Provenance

pytest.importorskip("optuna", reason="calibration needs the extra tune")

DAY = 86400.0


def submitted(n=3000, *, days=40, load=0.9, cores=48, seed=0, users=8):
    """Return jobs as they are submitted: Poisson arrivals, sizes 1 to 8, log-normal run times."""
    rng = np.random.default_rng(seed)
    width = rng.choice([1, 2, 4, 8], size=n)
    run = rng.lognormal(8, 1, n)
    run *= load * cores * days * DAY / (run * width).sum()
    frame = pl.DataFrame(
        {
            "job_id": [str(k) for k in range(n)],
            "user": [f"u{k}" for k in rng.integers(users, size=n)],
            "submit_time": np.sort(rng.uniform(0, days * DAY, n)),
            "run_time": run,
            "walltime_req": run * rng.uniform(1, 5, n),
            "cores_req": width,
        }
    )
    return JobTable.from_frame(frame, Provenance(source="made up", rows_read=n))


def one_site(jobs, cores=64):
    platform = Platform.single(cores)
    return records_of(jobs, platform, "machine", stated=True)


def by_hand(width, run, submit=None, user=None, **more):
    n = len(width)
    frame = {
        "job_id": [str(k) for k in range(n)],
        "user": user or ["u"] * n,
        "submit_time": np.array(submit or [0.0] * n, float),
        "run_time": np.array(run, float),
        "cores_req": width,
        **more,
    }
    return JobTable.from_frame(pl.DataFrame(frame), Provenance(source="by hand", rows_read=n))


def test_known_cores_and_delay_are_recovered():
    jobs = submitted()
    truth = gridtwin.simulate(
        jobs, platform=Platform.single(48), policy="fcfs", rules=Rules(dispatch=300.0)
    ).jobs
    found = calibrate(
        truth,
        Platform.single(64),
        free=("cores", "dispatch"),
        start=Setting(policy="fcfs"),
        trials=120,
        profiles=3,
    )
    fit = found.sites[0]
    assert found.platform.cores[0] == pytest.approx(48, abs=1)
    assert fit.setting.dispatch == pytest.approx(300, rel=0.15)
    assert fit.loss < 0.05 < fit.default
    assert not any(known.flat for known in fit.known)
    wait = next(s for s in found.scores if s.quantity == "wait" and s.within == "span")
    assert wait.calibrated < 0.1 * wait.training
    assert wait.minus_training[1] < 0


def test_the_discipline_of_a_busy_machine_is_recovered():
    truth = gridtwin.simulate(submitted(load=0.95), cores=48, policy="easy").jobs
    found = calibrate(
        truth, Platform.single(48), free=("policy",), start=Setting("fcfs"), trials=12, profiles=2
    )
    assert found.sites[0].setting.policy == "easy"
    assert found.sites[0].loss == pytest.approx(0, abs=1e-9)


def test_a_speed_is_recovered_in_closed_form_and_a_pilot_by_search():
    rng = np.random.default_rng(1)
    jobs = submitted(1200, days=30, load=0.3).collect()
    task = rng.integers(60, size=len(jobs))
    site = rng.choice(["A", "B"], size=len(jobs))
    speed = np.where(site == "A", 2.0, 1.0)
    cpu = 6000 * np.exp(0.3 * np.random.default_rng(2).standard_normal(60))[task] / speed
    cpu *= np.exp(0.02 * rng.standard_normal(len(jobs)))
    pilot = np.where(site == "A", 600.0, 1200.0)
    wall = pilot + 1.25 * cpu * rng.uniform(0.95, 1.05, len(jobs))
    submit = jobs["submit_time"].to_numpy()
    frame = jobs.select("job_id", "user", "submit_time").with_columns(
        task_id=pl.Series(task).cast(pl.String),
        site=pl.Series(site),
        cores_req=pl.lit(1),
        start_time=pl.Series(submit + 60.0),
        run_time=pl.Series(wall),
        end_time=pl.Series(submit + 60.0 + wall),
        cpu_time=pl.Series(cpu),
    )
    truth = JobTable.from_frame(frame, Provenance(source="made up", rows_read=len(frame)))
    found = calibrate(truth, free=("dispatch", "pilot", "stretch"), trials=150, profiles=0)
    a, b = found.platform.sites
    assert a.speed / b.speed == pytest.approx(2.0, rel=0.02)
    for fit, pilot_there in zip(found.sites, (600.0, 1200.0), strict=True):
        assert fit.setting.pilot == pytest.approx(pilot_there, rel=0.25)
        assert fit.setting.stretch == pytest.approx(1.25, rel=0.05)
    wall = [s for s in found.scores if s.quantity == "wall" and s.within == "span"]
    assert {s.site for s in wall} == {"A", "B"}
    assert all(s.calibrated < 0.3 * s.median for s in wall)


def test_what_the_records_do_not_tell_is_said_and_left_as_it_was():
    idle = gridtwin.simulate(submitted(600, load=0.02), cores=48).jobs
    found = calibrate(idle, Platform.single(48), free=("estimate", "cores"), trials=15, profiles=2)
    fit = found.sites[0]
    assert fit.setting == Setting()
    assert all(known.flat for known in fit.known)
    assert set(found.settings()["told"]) == {"not told"}


class Quadratic:
    """A loss of two parameters in four blocks; b hardly matters."""

    weights = np.full(4, 0.25)

    def __call__(self, values):
        loss = (values["a"] - 3) ** 2 + 1e-4 * (values["b"] - 5) ** 2
        return np.outer([1.0], loss * np.array([0.5, 0.8, 1.2, 1.5]))


def test_a_search_finds_a_minimum_and_leaves_what_hardly_matters():
    space = [Parameter("a", 0, 10), Parameter("b", 1, 10, log=True)]
    neutral = {"a": 0.0, "b": 1.0}
    best, loss = search(space, Quadratic(), [neutral], trials=120, seed=0)
    assert best["a"] == pytest.approx(3, abs=0.02)
    assert loss < 1e-3
    simple = simplest(Quadratic(), best | {"a": 3.0, "b": 5.0}, neutral, seed=0)
    assert simple["a"] == 3.0
    noisy = best | {"a": 3.0, "b": 1.05}
    assert total(Quadratic(), simplest(Quadratic(), noisy, neutral, seed=0)) <= 0.9


def test_same_seed_same_calibration_and_a_round_trip_by_files(tmp_path):
    truth = gridtwin.simulate(submitted(500), cores=48).jobs
    options = {"trials": 12, "profiles": 2, "seed": 3}
    first = calibrate(truth, Platform.single(64), **options)
    second = calibrate(truth, Platform.single(64), **options)
    assert first == second
    first.save(tmp_path)
    assert Calibration.load(tmp_path) == first
    assert Platform.load(tmp_path / "platform.toml") == first.platform
    assert first.predict(truth).equals(Calibration.load(tmp_path).predict(truth))


def test_predictions_are_of_every_job():
    truth = gridtwin.simulate(submitted(300), cores=48).jobs
    found = calibrate(truth, Platform.single(48), free=("dispatch",), trials=3, profiles=0)
    said = found.predict(truth)
    assert sorted(said["job_id"]) == sorted(truth.collect()["job_id"])
    assert (said["wait"] >= 0).all()
    assert not len(found.settings())


def test_the_first_part_is_all_that_is_fitted_on():
    truth = gridtwin.simulate(submitted(600), cores=48).jobs
    frame = truth.collect()
    later = pl.col("submit_time") > 0.7 * 40 * DAY + 10 * 3600
    changed = truth.with_frame(
        frame.with_columns(
            start_time=pl.when(later).then(pl.col("start_time") + 9e5).otherwise("start_time")
        )
    )
    options = {"free": ("cores", "dispatch"), "trials": 10, "profiles": 0}
    a = calibrate(truth, Platform.single(64), **options)
    b = calibrate(changed, Platform.single(64), **options)
    assert a.sites == b.sites
    assert a.scores != b.scores


def test_a_limit_makes_users_wait_for_themselves_alone():
    jobs = by_hand([2, 2, 2], [100, 100, 100], user=["a", "a", "b"])
    free = run_trial(one_site(jobs, 8), Setting(), seed=0)
    assert free.wait.tolist() == [0, 0, 0]
    limited = run_trial(one_site(jobs, 8), Setting(limit=0.25), seed=0)
    assert limited.wait.tolist() == [0, 100, 0]


def test_users_who_wait_for_themselves_are_found_and_held_to_what_they_had():
    truth = by_hand(
        [2] * 30,
        [1000.0] * 30,
        submit=[1.0 * k for k in range(30)],
        user=["a"] * 15 + ["b"] * 15,
    ).collect()
    start = np.concatenate([1000.0 * (np.arange(15) // 2) + np.arange(15) % 2, np.arange(15.0, 30)])
    truth = truth.with_columns(start_time=pl.Series(start), end_time=pl.Series(start + 1000))
    jobs = JobTable.from_frame(truth, Provenance(source="by hand", rows_read=30))
    records = one_site(jobs, 100)
    assert user_caps(records) == {"a": 4}
    assert user_caps(records, until=1500.0) == {}
    held = run_trial(replace(records, caps={"a": 4}), Setting(caps="seen"), seed=0)
    assert np.allclose(held.wait, start - truth["submit_time"].to_numpy())
    assert not run_trial(replace(records, caps={"a": 4}), Setting(), seed=0).wait.any()


def test_settings_act_on_a_site_as_they_say():
    jobs = by_hand([2, 2], [100, 50], site=["A", "A"], cpu_time=[160.0, 80.0])
    records = records_of(jobs, Platform((Site("A", (Pool(4),)),)), "A", stated=True)
    out = run_trial(records, Setting(cores=0.5, dispatch=7, pilot=10, stretch=2), seed=0)
    assert out.wall.tolist() == [170, 90]
    assert out.wait.tolist() == [7, 177]


def test_background_jobs_take_room_and_are_not_counted():
    records = one_site(submitted(500, load=0.9), 48)
    alone, among = (run_trial(records, Setting(background=b), seed=0) for b in (0.0, 0.3))
    assert len(among.wait) == 500
    assert among.wait.mean() > 1.5 * alone.wait.mean()


def test_estimates_change_what_backfilling_lets_pass():
    jobs = by_hand([3, 4, 1], [100, 100, 50], submit=[0, 1, 2], walltime_req=[100.0, 100, 90])
    exact = run_trial(one_site(jobs, 4), Setting(), seed=0)
    assert exact.wait.tolist() == [0, 99, 0]
    timid = run_trial(one_site(jobs, 4), Setting(estimate=5.0), seed=0)
    assert timid.wait.tolist() == [0, 99, 0]
    none = run_trial(one_site(jobs, 4), Setting(policy="fcfs"), seed=0)
    assert none.wait.tolist() == [0, 99, 198]


def test_distance_is_the_wasserstein_distance():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=50), rng.normal(size=50), rng.normal(size=70)
    assert distance(a, b) == pytest.approx(wasserstein_distance(a, b))
    assert distance(a, c) == pytest.approx(wasserstein_distance(a, c))


def test_a_model_that_says_the_median_loses_one():
    truth = gridtwin.simulate(submitted(400), cores=48).jobs
    records = one_site(truth, 48)
    real = measured(records)
    rows = [np.arange(len(records))]
    loss = Loss.of(real, rows)
    flat = {name: np.full(len(records), np.median(v)) for name, v in real.items()}
    assert loss(flat) == pytest.approx(np.ones((2, 1)))
    assert loss(real) == pytest.approx(np.zeros((2, 1)))


def test_blocks_hold_each_job_once_and_draws_are_of_blocks():
    submit = np.sort(np.random.default_rng(0).uniform(0, 60 * DAY, 500))
    chosen = submit > 10 * DAY
    blocks, length = blocks_of(submit, chosen)
    assert length == 7 * DAY
    assert np.array_equal(np.concatenate(blocks), np.flatnonzero(chosen))
    drawn = draws(len(blocks), 20, seed=0)
    assert drawn.shape == (20, len(blocks))
    assert drawn.max() < len(blocks)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"train": 1.0}, InputError, "between 0 and 1"),
        ({"trials": 0}, InputError, "trials from 1"),
        ({"free": ["speed"]}, InputError, "cannot be fitted; choose from policy, cores"),
    ],
)
def test_bad_options_are_named(options, error, told):
    truth = gridtwin.simulate(submitted(200), cores=48).jobs
    with pytest.raises(error, match=told):
        calibrate(truth, Platform.single(48), **({"trials": 2, "profiles": 0} | options))


def test_records_that_cannot_tell_are_refused():
    jobs = submitted(200)
    with pytest.raises(InputError, match="start_time or wait_time"):
        calibrate(jobs)
    truth = gridtwin.simulate(jobs, cores=48).jobs
    two = Platform((Site.of("A", 10), Site.of("B", 10)))
    without = truth.with_frame(truth.collect().drop("site"))
    with pytest.raises(SchemaError, match="no column site: add it"):
        calibrate(without, two)
    with pytest.raises(InputError, match="no job ran at a site"):
        calibrate(truth, two)
    at_once = truth.with_frame(truth.collect().with_columns(submit_time=pl.lit(0.0)))
    with pytest.raises(InputError, match="a split in time needs a span"):
        calibrate(at_once)


def test_jobs_that_cannot_run_are_counted_and_small_sites_left_alone():
    truth = gridtwin.simulate(submitted(200), cores=48).jobs
    found = calibrate(truth, Platform.single(4), trials=2, profiles=0)
    wide = (truth.collect()["cores_req"] > 4).sum()
    assert found.left_out == {"wider than the site": wide}
    few = truth.with_frame(truth.collect().head(25))
    kept = calibrate(few, Platform.single(48), trials=2, profiles=0)
    assert "default setting is kept" in kept.sites[0].note


def test_files_that_are_no_calibration_are_refused(tmp_path):
    (tmp_path / "calibration.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(FormatError, match="is no calibration"):
        Calibration.load(tmp_path)


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"gridtwin\[tune\]"):
        optuna_or_error()


@pytest.mark.slow
def test_a_real_trace_is_better_told_than_by_its_own_past(data_dir):
    jobs = gridtwin.read(data_dir / "swf" / "KTH-SP2-1996-2.1-cln.swf.gz")
    found = calibrate(jobs, trials=60, profiles=0)
    wait = next(s for s in found.scores if s.quantity == "wait" and s.within == "span")
    assert wait.calibrated < wait.training
    assert wait.calibrated < wait.median
