"""Brokers by name: what every one must hold, and what each does in cases worked out by hand."""

import math

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.policy import bandits
from gridtwin.policy.brokerage import Expecting, PowerOfTwo, WeightedRandom
from gridtwin.policy.panda_brokerage import Analysis, Production, Task
from gridtwin.policy.panda_weights import Panda
from gridtwin.sim import Faults, Link, Outage, Platform, Pool, Site, simulate
from gridtwin.sim.brokers import Brokering, broker_names, brokers, check_broker, register_broker
from gridtwin.trace import JobTable, Provenance

NAMES = brokers.names()
SITES = ("A", "B", "C")


def grid(*cores, speeds=(1e9, 1e9, 1e9), bandwidth=1e8):
    """Make sites round a store, each at a link of its own."""
    sites = tuple(
        Site(name, (Pool(width, 1, speed),))
        for name, width, speed in zip(SITES, cores, speeds, strict=False)
    )
    links = tuple(Link(f"to {s.name}", bandwidth, 0.01, ends=("store", s.name)) for s in sites)
    return Platform((*sites, Site("store")), links)


def table(n=120, *, every=20.0, run=400.0, data=1e9, **more):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "job_id": [f"j{k}" for k in range(n)],
            "task_id": [f"t{k // 10}" for k in range(n)],
            "user": [f"u{k % 3}" for k in range(n)],
            "submit_time": np.arange(n) * every,
            "cores_req": rng.integers(1, 4, n),
            "run_time": rng.exponential(run, n),
            "input_bytes": np.full(n, data),
            "dataset": [f"d{k // 10}" for k in range(n)],
            "site": rng.choice(SITES, n),
            **more,
        }
    )
    return JobTable.from_frame(frame, Provenance(source="made up", rows_read=n))


def sent(result):
    return (
        result.jobs.collect().sort("submit_time", "job_id", maintain_order=True)["site"].to_list()
    )


def test_the_names_are_there():
    wanted = {"weighted_random", "power_of_two", "olb", "met", "mct", "ucb1", "linucb"}
    wanted |= {f"panda_{kind}" for kind in ("production", "analysis", "task", "generic")}
    assert wanted <= set(NAMES)
    assert {"least_loaded", "round_robin", "random", "recorded"} <= set(broker_names())
    for name in NAMES:
        check_broker(name)
        assert brokers.get(name).name == name
        assert brokers.get(name).rule


@pytest.mark.parametrize("name", NAMES)
def test_every_job_ends_at_a_site_that_it_fits(name):
    jobs = table(cores_req=[1, 2, 9, 1] * 30)
    faults = Faults(0.2, attempts=3, outages=(Outage("A", 300.0, 900.0),))
    result = simulate(jobs, platform=grid(8, 16, 4), policy="fcfs", broker=name, faults=faults)
    frame = result.jobs.collect()
    assert result.broker == name
    assert sum(result.outcomes.values()) == len(jobs)
    assert set(result.outcomes) <= {"finished", "failed", "outage"}
    assert set(frame.filter(pl.col("cores_req") == 9)["site"]) <= {"B"}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_sites(name):
    first, second = (
        simulate(table(), platform=grid(8, 8, 8), policy="fcfs", broker=name, seed=4)
        for _ in range(2)
    )
    assert_frame_equal(first.jobs.collect(), second.jobs.collect())


@pytest.mark.parametrize("name", NAMES)
def test_a_job_that_fits_nowhere_has_no_site(name):
    jobs = table(3, cores_req=[1, 99, 1])
    result = simulate(jobs, platform=grid(8, 8, 8), policy="fcfs", broker=name)
    assert result.outcomes == {"finished": 2, "no_site": 1}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_to_come_does_not_matter(name):
    """Decisions before a time are the same whatever jobs take that have not ended by then."""
    jobs = table(60, every=20.0)
    frame = jobs.collect()
    ends = pl.col("submit_time") + pl.col("run_time")
    longer = pl.when(ends > 600.0).then(pl.col("run_time") * 7 + 600.0)
    other = jobs.with_frame(frame.with_columns(run_time=longer.otherwise("run_time")))
    early = (frame["submit_time"] < 600.0).sum()
    # room for all: what runs on does not hold others up
    first, second = (
        sent(simulate(t, platform=grid(300, 300, 300), policy="fcfs", broker=name, seed=1))[:early]
        for t in (jobs, other)
    )
    assert first == second


def test_weighted_random_is_weighted_by_cores():
    jobs = table(3000, every=1e6, cores_req=[1] * 3000, run=1.0, data=0.0)
    got = sent(simulate(jobs, platform=grid(10, 30, 60), policy="fcfs", broker="weighted_random"))
    for name, share in zip(SITES, (0.1, 0.3, 0.6), strict=True):
        spread = math.sqrt(3000 * share * (1 - share))
        assert abs(got.count(name) - 3000 * share) < 4 * spread


def test_the_better_of_two_is_never_the_worst_of_three():
    loads = []

    def broker(view):
        site = two(view)
        loads.append((view.load[:3].tolist(), site))
        return site

    two = PowerOfTwo(1)
    jobs = table(200, run=4000.0, data=0.0)
    simulate(jobs, platform=grid(50, 80, 90), policy="fcfs", broker=broker)
    assert {site for _, site in loads} == {0, 1, 2}
    for load, site in loads:
        assert load[site] < max(load) or load.count(max(load)) > 1


def test_met_olb_and_mct_by_hand():
    """A is fast and small, B slow and large: jobs of 100 s on a core of 1e9 flop/s."""
    n = 4
    jobs = table(n, every=0.0, data=0.0, cores_req=[1] * n, run_time=[100.0] * n).frame.collect()
    jobs = jobs.with_columns(site=pl.lit("B"), walltime_req=pl.lit(100.0))
    jobs = table(n).with_frame(jobs)
    platform = Platform((Site("A", (Pool(1, 1, 4e9),)), Site("B", (Pool(8, 1, 1e9),))))
    sites = {
        name: sent(simulate(jobs, platform=platform, policy="fcfs", broker=name))
        for name in ("met", "olb", "mct")
    }
    assert sites["met"] == ["A"] * 4
    # A is free for the first; then it is ready in half a mean run time (3600 s before any ended)
    assert sites["olb"] == ["A", "B", "B", "B"]
    # slowness is 0.625 and 2.5: the run is 62.5 s at A, 250 s at B; A is ready after 1125 s
    assert sites["mct"] == ["A", "B", "B", "B"]


def test_met_goes_where_the_data_are():
    jobs = table(8, data=1e11, site=["C"] * 8)
    platform = grid(80, 80, 80)
    replicas = pl.DataFrame({"dataset": ["d0"], "site": ["B"]})
    for name in ("met", "mct", "panda_analysis", "panda_task"):
        got = sent(simulate(jobs, platform=platform, policy="fcfs", broker=name, replicas=replicas))
        assert got == ["B"] * 8, name


def test_run_times_are_learnt_from_what_ended():
    told = []
    broker = Expecting("mct")

    def spy(view):
        site = broker(view)
        told.append(broker.history.expected(view))
        return site

    run = [100.0] * 20
    jobs = table(20, every=200.0, run_time=run, data=0.0, walltime_req=[1000.0] * 20)
    simulate(jobs, platform=grid(8, 8, 8), policy="fcfs", broker=spy)
    # nothing ended: all that is asked for; then a tenth of it
    assert told[0] == 1000.0
    assert told[1:] == pytest.approx([100.0] * 19)


def test_ended_attempts_are_told_once_and_not_before_their_end():
    seen = []

    def broker(view):
        for row in view.ended():
            assert row["end"] <= view.now
            seen.append((int(row["job"]), int(row["number"]), bool(row["finished"])))
        return int(view.load[:3].argmin())

    result = simulate(
        table(),
        platform=grid(8, 8, 8),
        policy="fcfs",
        broker=broker,
        faults=Faults(0.3, attempts=2),
    )
    frame = result.jobs.collect()
    assert len(seen) == len(set(seen))
    assert 80 < len(seen) < len(frame)
    status = dict(
        zip(
            zip(frame["job_id"].str.split(".").list.first(), frame["attempt"], strict=True),
            frame["status"] == "finished",
            strict=True,
        )
    )
    assert all(status[f"j{job}", number] == good for job, number, good in seen)


def test_a_retry_goes_elsewhere():
    result = simulate(
        table(),
        platform=grid(8, 8, 8),
        policy="fcfs",
        broker="mct",
        faults=Faults({"A": 0.9, "B": 0.1}, attempts=3),
    )
    frame = result.jobs.collect().with_columns(job=pl.col("job_id").str.split(".").list.first())
    after = frame.sort("job", "attempt").with_columns(before=pl.col("site").shift(1).over("job"))
    again = after.filter(pl.col("attempt") > 0)
    assert again.height > 5
    assert (again["site"] != again["before"]).all()


def test_production_takes_empty_sites_first_for_low_priorities():
    jobs = table(3, every=1.0, data=0.0, priority=[100.0] * 3, run_time=[50.0] * 3)
    got = sent(simulate(jobs, platform=grid(8, 8, 8), policy="fcfs", broker="panda_production"))
    assert sorted(got) == ["A", "B", "C"]


def test_production_beside_a_nucleus_prefers_it():
    rule = Panda(network=True, nucleus_weight=100.0)
    jobs = table(50, data=0.0, task_id=["t"] * 50)
    broker = Production(rule, seed=2)
    result = simulate(jobs, platform=grid(80, 80, 80), policy="fcfs", broker=broker)
    assert broker.task is not None
    nucleus = SITES[broker.task.nuclei["t"]]
    assert sent(result).count(nucleus) > 40


def test_a_task_stays_together():
    result = simulate(table(), platform=grid(80, 80, 80), policy="fcfs", broker=Task())
    frame = result.jobs.collect()
    assert frame.group_by("task_id").agg(pl.col("site").n_unique())["site"].max() == 1
    assert frame["site"].n_unique() > 1


def test_analysis_leaves_a_site_where_the_task_fails():
    faults = Faults({"B": 1.0})
    jobs = table(60, every=300.0, run=10.0, data=0.0, task_id=["t"] * 60)
    got = sent(
        simulate(jobs, platform=grid(4, 400, 4), policy="fcfs", broker=Analysis(), faults=faults)
    )
    # five failures, and what was sent before they were known
    assert 5 <= got.count("B") <= 7
    # they count for six hours
    rule = Panda(bad_window=600.0)
    forgetful = simulate(
        jobs, platform=grid(4, 400, 4), policy="fcfs", broker=Analysis(rule), faults=faults
    )
    assert sent(forgetful).count("B") > 10


def test_rewards_by_hand():
    assert bandits.reward(3600.0, finished=True) == 0.0
    assert bandits.reward(7200.0, finished=True) == pytest.approx(-math.log(2))
    assert bandits.reward(60.0, finished=False) == pytest.approx(-math.log(24))
    assert bandits.reward(2 * 86400.0, finished=False) == pytest.approx(-math.log(48))
    assert bandits.reward(0.0, finished=True) == pytest.approx(math.log(3600))


def test_ucb1_by_hand():
    arm = bandits.UCB1(c=2.0)
    arm.sent, arm.ended, arm.total = np.array([3.0, 2.0, 1.0]), np.zeros(3), np.zeros(3)
    arm.learn(0, 1.0)
    arm.learn(0, 2.0)
    arm.learn(1, 4.0)
    wide = [2 * math.sqrt(2 * math.log(6) / n) for n in (3, 2)]
    assert arm.bounds()[:2] == pytest.approx([1.5 + wide[0], 4.0 + wide[1]])
    assert arm.bounds().argmax() == 2  # nothing is known of it


def test_linucb_by_hand():
    arm = bandits.LinUCB(alpha=0.5)
    x = np.array([[1.0, 0, 0, 0, 0, 0.5], [1.0, 2.0, 0, 1.0, 0, 0]])
    arm.learn(x[0], 3.0)
    arm.learn(x[1], -1.0)
    inverse = np.linalg.inv(np.eye(6) + x.T @ x)
    assert arm.known == pytest.approx(inverse)
    belief = np.array([0, -1.0, 0, 0, 0, 0])
    theta = inverse @ (belief + 3.0 * x[0] - x[1])
    wanted = x @ theta + 0.5 * np.sqrt(np.diag(x @ inverse @ x.T))
    assert bandits.bounds(x, arm.known @ arm.b, arm.known, 0.5) == pytest.approx(wanted)


@pytest.mark.parametrize("arm", [bandits.UCB1(), bandits.LinUCB()])
def test_bandits_learn_which_site_fails(arm):
    jobs = table(400, every=2000.0, run=50.0, data=0.0)
    result = simulate(
        jobs, platform=grid(8, 8, 8), policy="fcfs", broker=arm, faults=Faults({"A": 1.0, "B": 0.5})
    )
    late = sent(result)[200:]
    assert late.count("C") > 2 * max(late.count("A"), 1)


def test_one_s_own_broker_by_name(monkeypatch):
    monkeypatch.setattr(brokers, "_entries", dict(brokers._entries))
    register_broker(Brokering("last", "the last site", lambda seed: lambda view: 2))
    assert set(sent(simulate(table(5), platform=grid(8, 8, 8), policy="fcfs", broker="last"))) == {
        "C"
    }
    with pytest.raises(ValueError, match="registered twice"):
        register_broker(Brokering("last", "again", WeightedRandom))
    brokers.add("odd", 3)
    with pytest.raises(InputError, match="expected a gridtwin"):
        simulate(table(5), platform=grid(8, 8, 8), policy="fcfs", broker="odd")
    with pytest.raises(UnknownNameError, match="did you mean 'linucb'"):
        simulate(table(5), platform=grid(8, 8, 8), broker="linuc")


@pytest.mark.parametrize("make", [lambda: bandits.UCB1(c=-1), lambda: bandits.LinUCB(float("nan"))])
def test_odd_parameters_are_refused(make):
    with pytest.raises(InputError, match="expected 0 or more"):
        make()
