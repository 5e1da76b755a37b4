"""Runs that are changed on their way are those that had the change in their calendar."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numba import njit
from polars.testing import assert_frame_equal

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.sim import Link, Platform, Pool, Simulation, Site, Storage, steer
from gridtwin.sim.assemble import Rules
from gridtwin.sim.collect import collected
from gridtwin.sim.demand import demand
from gridtwin.sim.faults import Faults
from gridtwin.sim.kernel.codes import Brokerage
from gridtwin.sim.outages import Outage
from gridtwin.sim.policies import resolve
from gridtwin.sim.view import Told

GRID = Platform((Site.of("A", 64, 1e9), Site.of("B", 96, 2e9)))
FAULTS = Faults(0.1, attempts=4, retry_delay=60.0, elsewhere=0.5)
POLICIES = ("fcfs", "easy", "conservative", "priority", "sjf", "saf+easy", "fair_share")


def begun(jobs, *, faults=FAULTS, **options):
    return Simulation(GRID, demand(jobs, GRID), faults=faults, seed=5, **options)


def ended(run, jobs):
    run.until()
    return collected(run, jobs.provenance, policy="x", broker="x")


def same(a, b):
    assert_frame_equal(a.jobs.collect(), b.jobs.collect())
    assert (a.outcomes, a.events) == (b.outcomes, b.events)


@pytest.fixture
def busy(jobs):
    """Return more jobs than the sites can take, so that they queue."""
    frame = jobs.collect()
    first = frame["submit_time"].min()
    return jobs.with_frame(
        frame.with_columns(
            submit_time=first + (pl.col("submit_time") - first) / 40,
            priority=pl.Series(np.arange(frame.height) % 7, dtype=pl.Float64),
        )
    )


@pytest.mark.parametrize("kill", [True, False])
@pytest.mark.parametrize("leaving", [0.0, 0.3])
def test_a_site_shut_by_hand_is_a_site_in_an_outage(busy, kill, leaving):
    first = float(busy.collect()["submit_time"].min())
    begin, end = first + 5000.5, first + 20000.25
    faults = replace(FAULTS, outages_kill=kill)
    planned = replace(faults, outages=(Outage("B", begin, end, leaving),))
    run = begun(busy, faults=faults)
    run.until(begin)
    assert run.clock == begin
    steer.close(run, "B", leaving=leaving)
    assert run.look()["open"].to_list() == [1.0, leaving]
    assert (run.look()["running"][1] == 0) == (kill and leaving == 0.0)
    run.until(end)
    steer.reopen(run, "B")
    result = ended(run, busy)
    expected = ended(begun(busy, faults=planned), busy)
    same(result, expected)
    assert ("outage" in set(expected.jobs.collect()["raw_status"])) == (kill and leaving == 0.0)


def test_a_site_shut_before_the_first_job_is_in_an_outage_from_the_start(busy):
    first = float(busy.collect()["submit_time"].min())
    run = begun(busy)
    steer.close(run, "B")
    planned = replace(FAULTS, outages=(Outage("B", first),))
    same(ended(run, busy), ended(begun(busy, faults=planned), busy))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_switched_to_at_the_start_is_the_policy(busy, policy):
    run = begun(busy)
    steer.switch(run, policy)
    expected = ended(begun(busy, policy=policy), busy)
    same(ended(run, busy), expected)
    assert run.policies == (resolve(policy),) * 2


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_switched_to_itself_leaves_all_as_it_was(busy, policy):
    run = begun(busy, policy=policy)
    for time in busy.collect()["submit_time"].gather_every(40):
        run.until(time)
        steer.switch(run, policy)
    assert_frame_equal(
        ended(run, busy).jobs.collect(), ended(begun(busy, policy=policy), busy).jobs.collect()
    )


@pytest.mark.parametrize("before", POLICIES)
@pytest.mark.parametrize("after", POLICIES)
def test_who_waits_is_lined_up_by_the_new_policy(busy, before, after):
    submit = busy.collect()["submit_time"]
    shut = replace(
        FAULTS,
        outages=tuple(
            Outage(name, float(submit.min()), float(submit.median())) for name in GRID.names
        ),
    )
    turns = Rules(broker=Brokerage.ROUND_ROBIN)  # the loads of closed sites are all alike
    run = begun(busy, faults=shut, policy=before, rules=turns)
    run.until(submit.median() - 1.0)
    assert run.look()["queued"].min() > 20
    steer.switch(run, "fcfs", "A")
    steer.switch(run, after)
    result = ended(run, busy)
    expected = ended(begun(busy, faults=shut, policy=after, rules=turns), busy)
    assert_frame_equal(result.jobs.collect(), expected.jobs.collect())


@pytest.mark.parametrize(
    ("after", "starts"),
    [
        ("fcfs", [0.0, 100.0, 110.0, 110.0]),
        ("easy", [0.0, 100.0, 50.0, 70.0]),
        ("conservative", [0.0, 100.0, 50.0, 70.0]),
        ("sjf", [0.0, 100.0, 110.0, 50.0]),
    ],
)
def test_a_switch_while_jobs_run_serves_the_queue_at_once(records, after, starts):
    jobs = records((0.0, 3, 100.0), (1.0, 4, 10.0), (2.0, 1, 20.0), (3.0, 1, 5.0))
    one = Platform((Site.of("A", 4),))
    run = Simulation(one, demand(jobs, one))
    run.until(50.0)
    steer.switch(run, after)
    assert ended(run, jobs).jobs.collect()["start_time"].to_list() == starts


def test_fair_shares_count_what_ran_before(records):
    jobs = records(
        *[(0.0, 4, 100.0), (1.0, 4, 10.0), (2.0, 4, 10.0), (3.0, 4, 10.0)], user=list("uuvu")
    )
    one = Platform((Site.of("A", 4),))
    run = Simulation(one, demand(jobs, one))
    run.until(50.0)
    steer.switch(run, "fair_share")
    result = ended(run, jobs)
    assert result.jobs.collect()["start_time"].to_list() == [0.0, 110.0, 100.0, 120.0]


def test_what_cannot_be_switched_is_refused_and_leaves_the_run_as_it_was(busy):
    two = Platform((Site("A", (Pool(64), Pool(32))), Site.of("B", 96)))
    run = Simulation(two, demand(busy, two), policy="priority")
    run.until(float(busy.collect()["submit_time"].median()))
    look = run.look()
    with pytest.raises(InputError, match="A: backfilling needs one pool"):
        steer.switch(run, "easy")
    with pytest.raises(InputError, match="different scores or priorities"):
        steer.switch(run, "sjf", "B")
    for act in (steer.close, steer.reopen, lambda run, site: steer.switch(run, "fcfs", site)):
        with pytest.raises(UnknownNameError, match="unknown site 'b'; known: A, B"):
            act(run, "b")
    with pytest.raises(UnknownNameError, match="'fcsf'"):
        steer.switch(run, "fcsf")
    with pytest.raises(UnknownNameError, match="'least_loadd'"):
        steer.switch_broker(run, "least_loadd")
    with pytest.raises(InputError, match="for a whole run"):
        steer.switch_broker(run, "recorded")
    with pytest.raises(InputError, match="leaving: expected 0 to below 1, got 1"):
        steer.close(run, "A", leaving=1.0)
    for factor in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="factor: expected a number above 0"):
            steer.scale_load(run, factor)
    with pytest.raises(InputError, match="beyond 1e"):
        steer.scale_load(run, 1e-13)
    assert_frame_equal(run.look(), look)
    assert {one.name for one in run.policies} == {"priority"}


def test_a_run_at_its_bound_is_steered_and_one_that_waits_for_an_answer_is_not(busy):
    run = begun(busy, limit=200)
    assert run.until() == "limit"
    assert run.look()["running"].min() > 0
    steer.close(run, "A")
    assert run.look()["running"][0] == 0
    assert run.until() == "limit"
    run = begun(busy, broker=Told())
    assert run.until() == "asked"
    for act in (lambda: steer.close(run, "A"), lambda: steer.scale_load(run, 2.0)):
        with pytest.raises(InputError, match="has not answered"):
            act()


@njit
def last(job, jobs, sites, pools):
    return len(sites) - 1


@pytest.mark.parametrize(
    "broker",
    [
        *("least_loaded", "fewest_jobs", "round_robin", "random", "data_local", "mct"),
        *(last, lambda view: int(view.running.argmin())),
    ],
)
def test_a_broker_switched_to_at_the_start_is_the_broker(busy, broker):
    from gridtwin.sim.brokers import brokerage, chooser_of

    run = begun(busy)
    steer.switch_broker(run, broker)
    expected = begun(
        busy, rules=Rules(broker=brokerage(broker)), broker=chooser_of(broker, run.seed)
    )
    same(ended(run, busy), ended(expected, busy))


def test_a_broker_is_switched_on_the_way(busy):
    middle = float(busy.collect()["submit_time"].median())
    run = begun(busy, faults=Faults())
    run.until(middle)
    steer.switch_broker(run, last)
    steer.scale_load(run, 3.0)
    assert run.rules.broker == Brokerage.CALLED
    steer.close(run, "A")
    load = run.state.load.copy()
    steer.switch_broker(run, "fewest_jobs")
    steer.switch_broker(run, "least_loaded")
    np.testing.assert_array_equal(run.state.load, load)
    steer.switch_broker(run, last)
    result = ended(run, busy)
    after = result.jobs.collect().filter(pl.col("submit_time") > middle)
    assert after.height > 100
    assert set(after["site"]) == {"B"}


def test_load_times_one_changes_nothing(busy):
    run = begun(busy)
    run.until(float(busy.collect()["submit_time"].median()))
    steer.scale_load(run, 1.0)
    same(ended(run, busy), ended(begun(busy), busy))


def test_the_gaps_to_come_are_divided(busy):
    submit = busy.collect()["submit_time"].to_numpy()
    middle = float(submit[150]) + 1e-3
    run = begun(busy, faults=Faults())
    run.until(middle)
    steer.scale_load(run, 4.0)
    came = ended(run, busy).jobs.collect()["submit_time"].to_numpy()
    count = int((submit <= middle).sum())
    np.testing.assert_array_equal(came[:count], submit[:count])
    np.testing.assert_allclose(came[count:] - middle, (submit[count:] - middle) / 4)
    run = begun(busy, faults=Faults())
    steer.scale_load(run, 0.5)
    came = ended(run, busy).jobs.collect()["submit_time"].to_numpy()
    np.testing.assert_allclose(came - submit[0], (submit - submit[0]) * 2, atol=1e-6)


def test_what_flows_is_told_by_site_and_link(records):
    platform = Platform(
        (Site.of("A", 4), Site.of("B", 4), Site("C", storages=(Storage("c"),))),
        (
            Link("a", 4e9, sharing="split", ends=("A", "R")),
            Link("b", 1e9, ends=("R", "B")),
            Link("c", 2e9, sharing="fatpipe", ends=("R", "C")),
        ),
        routers=("R",),
    )
    rows = [(0.0, 1, 9.0), (0.0, 1, 9.0), (0.0, 1, 9.0), (50.0, 1, 9.0)]
    jobs = records(*rows, input_bytes=[9e9, 9e9, 9e9, 0.0], site=["A", "A", "B", "B"])
    asked = demand(jobs, platform, recorded=True, origin="C")
    run = Simulation(platform, asked)
    assert run.links().height == 0
    run.until(1.0)
    look = run.look()
    assert look["transfers"].to_list() == [2, 1, 0]
    rate = look["bytes_per_s"].to_list()
    assert rate[1:] == [pytest.approx(0.97e9 / 1.05), 0.0]
    assert run.links().rows() == [
        ("a:down", 2, pytest.approx(rate[0]), pytest.approx(rate[0] / 4e9)),
        ("b", 1, pytest.approx(rate[1]), pytest.approx(rate[1] / 1e9)),
        ("c", 3, pytest.approx(rate[0] + rate[1]), pytest.approx((rate[0] + rate[1]) / 2e9)),
    ]
    assert run.arrived == 3
    run.until(40.0)
    look = run.look()
    assert look["transfers"].sum() == look["bytes_per_s"].sum() == look["running"].sum() == 0
    assert look["finished"].to_list() == [2, 1, 0]
    assert run.until() == "done"
    assert (run.arrived, run.look()["finished"].sum()) == (4, 4)


def test_ends_are_counted_as_the_result_counts_them(busy):
    run = begun(busy)
    run.until(float(busy.collect()["submit_time"].median()))
    steer.close(run, "A")
    made = ended(run, busy).jobs.collect()["raw_status"]
    look = run.look()
    assert look["finished"].sum() == (made == "finished").sum()
    assert look["failed"].sum() == made.is_in(["failed", "outage"]).sum() > 0
