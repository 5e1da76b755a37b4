"""Introspection: windows that are learnt from the ones before."""

import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import InputError
from gridtwin.sim import Platform, Pool, Site
from gridtwin.study.feedback import DRIFT, _monitored, _with_speeds
from gridtwin.study.folder import Folder
from gridtwin.study.run import run, run_one, simulated
from gridtwin.study.spec import parse
from gridtwin.study.world import World
from gridtwin.trace import JobTable

TEXT = """
[workload]
example = "panda"
days = 6
scale = 0.04
[platform]
example = "panda"
share = 0.6
[policy]
queue = "fcfs"
[faults]
observed = true
attempts = 3
"""


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feedback")
    text = TEXT + '[feedback]\nevery_days = 2\nwindows = 3\nlearn = "last"\nspeeds = true\n'
    return Folder.open(run(parse(text), folder / "run")).feedback


def test_each_window_is_compared_with_the_first(windows):
    assert windows.columns == ["scenario", "seed", *DRIFT]
    assert windows["window"].to_list() == [0, 1, 2]
    first = windows.row(0, named=True)
    assert all(
        first[name] == 0.0 for name in ("wait_ks", "run_ks", "cores_ks", "gaps_ks", "site_tv")
    )
    assert (first["work_ratio"], first["c2st"], first["speed_error"]) == (1.0, None, 0.0)


def test_a_window_is_like_the_one_it_was_learnt_from(windows):
    assert windows["jobs"].n_unique() == 1
    later = windows.filter(pl.col("window") > 0)
    assert later["run_ks"].is_between(0.0, 0.35, closed="right").all()
    assert later["cores_ks"].max() < 0.2
    assert later["c2st"].max() < 0.9
    assert later["work_ratio"].is_between(0.3, 3.0).all()


def test_failures_are_learnt_again(windows):
    chance, rate = windows["chance"], windows["failure_rate"]
    assert chance[1] != chance[0]
    assert chance[1] == pytest.approx(rate[0], abs=0.15)
    frozen = parse(TEXT + "[feedback]\nevery_days = 3\nfailures = false\n")
    _, second = run_one(World(frozen), frozen.scenarios[0], 0).windows
    assert second["chance"] == pytest.approx(chance[0])
    assert second["speed_error"] == 0.0


def test_monitoring_gives_a_row_for_each_job():
    spec = parse(TEXT)
    setting = World(spec).setting(spec.scenarios[0], 0)
    result = simulated(setting, spec.scenarios[0], 0)
    seen, attempts = _monitored(result), result.jobs.collect()
    assert seen.height == result.base.n_unique() < attempts.height
    assert seen["job_id"].n_unique() == seen.height
    first = attempts.filter(result.base.is_first_distinct())["submit_time"]
    assert seen["submit_time"].sort().equals(first.sort())
    done = seen.filter(pl.col("status") == "finished")
    assert done.height / seen.height == pytest.approx(
        result.outcomes["finished"] / seen.height, abs=1e-9
    )
    # without the time for files, what ran at one speed ran as long as it was asked to
    asked = setting.given.frame.select("job_id", work=pl.col("run_time") * pl.col("core_power"))
    both = done.join(asked, on="job_id").drop_nulls("work")
    ratio = both["run_time"] * both["core_power"] / both["work_right"]
    assert (ratio.median(), ratio.quantile(0.05)) == pytest.approx((1.0, 1.0), abs=0.02)
    assert ratio.quantile(0.95) == pytest.approx(1.0, abs=0.02)


def test_speeds_are_those_that_cpu_times_show():
    rng = np.random.default_rng(0)
    n = 4000
    true = {"A": 2.0, "B": 1.0, "C": 0.5}
    site = rng.choice(list(true), n)
    speed = np.array([true[name] for name in site])
    frame = pl.DataFrame(
        {
            "job_id": [str(k) for k in range(n)],
            "task_id": [str(k % 50) for k in range(n)],
            "site": site,
            "cpu_time": 1000.0 * (1 + np.arange(n) % 50) / speed,
        }
    )
    given = Platform(tuple(Site(name, (Pool(10, speed=1e9),)) for name in true))
    found = [site.speed for site in _with_speeds(given, JobTable.from_frame(frame)).sites]
    assert np.array(found) / found[1] == pytest.approx([2.0, 1.0, 0.5], rel=1e-3)
    assert np.prod(found) == pytest.approx(1e27, rel=1e-6)


def test_a_window_without_jobs_is_told():
    text = TEXT.replace("days = 6", "days = 1").replace("0.04", "0.0005")
    spec = parse(text + "[feedback]\nevery_days = 0.001\nwindows = 2\n")
    with pytest.raises(InputError, match=r"feedback: window 0 of 0\.001 days has no job"):
        run_one(World(spec), spec.scenarios[0], 0)
