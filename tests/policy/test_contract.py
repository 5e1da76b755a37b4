"""What every policy must hold, whoever wrote it."""

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gridtwin import policy
from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.sim import Platform, Policy, Site, policies, register, simulate
from gridtwin.sim.policies import resolve

NAMES = policy.names()


def test_the_two_classics_are_there():
    assert {"easy", "fcfs"} <= set(NAMES)
    assert policy.get("easy").backfill == "easy"
    assert policy.get("fcfs").backfill == "none"


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_is_found_by_its_own_name(name):
    found = policy.get(name)
    assert isinstance(found, Policy)
    assert found.name == name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cores", [64, 100, 256])
def test_nobody_starts_early_and_the_machine_is_never_overfull(name, cores, jobs):
    result = simulate(jobs, cores=cores, policy=name)
    frame = result.jobs.collect()
    assert frame.height == len(jobs)
    assert (frame["start_time"] >= frame["submit_time"]).all()
    assert result.timeline["busy_cores"].max() <= cores
    assert result.timeline.row(-1)[2:] == (0, 0, 0)
    assert frame["run_time"].sum() == pytest.approx(jobs.collect()["run_time"].sum())


@pytest.mark.parametrize("name", NAMES)
def test_an_idle_machine_lets_nobody_wait(name, jobs):
    total = int(jobs.collect()["cores_req"].sum())
    assert simulate(jobs, cores=total, policy=name).summary()["mean_wait"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_same_jobs_give_the_same_result(name, jobs):
    first, second = (simulate(jobs, cores=80, policy=name) for _ in range(2))
    assert_frame_equal(first.jobs.collect(), second.jobs.collect())


@pytest.mark.parametrize("name", NAMES)
def test_no_jobs_are_no_trouble(name, jobs):
    none = jobs.with_frame(jobs.collect().clear())
    assert simulate(none, cores=4, policy=name).summary()["jobs"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_sites_are_served_by_themselves(name, jobs):
    """With recorded sites, each site gives what it gives alone."""
    sites = np.arange(len(jobs)) % 2
    split = jobs.with_frame(jobs.collect().with_columns(site=pl.Series(sites).cast(pl.String)))
    together = simulate(
        split,
        platform=Platform((Site.of("0", 64), Site.of("1", 96))),
        broker="recorded",
        policy=name,
    ).jobs.collect()
    for site, cores in (("0", 64), ("1", 96)):
        alone = jobs.with_frame(split.collect().filter(pl.col("site") == site))
        waits = simulate(alone, cores=cores, policy=name).jobs.collect()["wait_time"]
        assert waits.to_list() == together.filter(pl.col("site") == site)["wait_time"].to_list()


def test_backfilling_helps(jobs):
    waits = [simulate(jobs, cores=64, policy=p).summary()["mean_wait"] for p in ("fcfs", "easy")]
    assert 0 < waits[1] < waits[0]


def test_unknown_names_and_wrong_kinds_are_refused(monkeypatch):
    with pytest.raises(UnknownNameError, match="unknown policy 'fcf'; did you mean 'fcfs'"):
        policy.get("fcf")
    with pytest.raises(ValueError, match="registered twice"):
        register(Policy("fcfs", backfill="easy"))
    monkeypatch.setitem(policies._entries, "odd", 3)
    with pytest.raises(InputError, match="expected a gridtwin"):
        resolve("odd")
