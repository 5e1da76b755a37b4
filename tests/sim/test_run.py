"""The grid kernel one step at a time, and brokers of the user's own."""

import numpy as np
import polars as pl
import pytest
from numba import njit
from polars.testing import assert_frame_equal

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.sim import Link, Platform, Pool, Simulation, Site, simulate
from gridtwin.sim.assemble import Rules
from gridtwin.sim.collect import collected
from gridtwin.sim.demand import demand
from gridtwin.sim.faults import Faults
from gridtwin.sim.kernel.codes import Brokerage
from gridtwin.sim.outages import Outage

TWO = Platform((Site.of("A", 4), Site.of("B", 8)))


def test_a_run_in_steps_is_the_run_in_one_go(jobs):
    platform = Platform((Site.of("A", 64, 1e9), Site.of("B", 96, 2e9)))
    asked = demand(jobs, platform)
    faults = Faults(0.2, attempts=3)
    whole = Simulation(platform, asked, faults=faults, seed=5)
    assert whole.until() == "done"
    steps = Simulation(platform, asked, faults=faults, seed=5)
    first = float(asked.work.submit[0])
    seen = []
    for hour in range(10_000):
        if steps.until(first + 3600.0 * hour) == "done":
            break
        assert steps.now <= first + 3600.0 * hour
        seen.append(steps.look())
    origin = jobs.provenance
    a, b = (collected(run, origin, policy="fcfs", broker="x") for run in (whole, steps))
    assert_frame_equal(a.jobs.collect(), b.jobs.collect())
    assert (a.events, a.outcomes) == (b.events, b.outcomes)
    busy = pl.concat(seen)
    assert busy.filter(pl.col("site") == "A")["busy_cores"].max() <= 64
    assert busy["running"].max() > 1


def test_a_run_that_stands_still_tells_what_is_open(records):
    jobs = records((0.0, 4, 10.0), (1.0, 4, 10.0), (50.0, 1, 1.0))
    platform = Platform((Site.of("A", 4),))
    run = Simulation(platform, demand(jobs, platform))
    assert run.until(2.0) == "reached"
    assert run.look().rows() == [("A", 1, 1, 4, 1.0, 0, 0, 0, 0, 0.0)]
    result = collected(run, jobs.provenance, policy="fcfs", broker="least_loaded")
    assert result.outcomes == {"never_started": 2, "unfinished": 1}
    assert result.jobs.collect()["status"].to_list() == ["running", "queued", "queued"]
    assert not result.complete
    assert result.timeline.rows() == [(0.0, "A", 0, 1, 4), (1.0, "A", 1, 1, 4)]
    assert result.averaged(2).height in (0, 2)
    assert run.until() == "done"


def test_a_broker_sees_the_grid_as_it_is(records):
    rows = [(0.0, 3, 10.0), (1.0, 2, 10.0), (2.0, 8, 5.0), (3.0, 1, 5.0)]
    jobs = records(*rows, user=["u", "v", "u", "w"], priority=[1.0, 2.0, 3.0, 4.0])
    seen = []

    def broker(view):
        seen.append(
            (
                view.job,
                view.now,
                view.submit,
                view.cores,
                view.priority,
                view.user,
                view.attempt,
                view.field("user"),
                view.queued.tolist(),
                view.running.tolist(),
                view.free.tolist(),
                view.load.tolist(),
            )
        )
        return ["A", np.int64(1), 1, "A"][view.job]

    result = simulate(jobs, platform=TWO, policy="fcfs", broker=broker)
    assert seen == [
        (0, 0, 0, 3, 1, 0, 0, "u", [0, 0], [0, 0], [4, 8], [0, 0]),
        (1, 1, 1, 2, 2, 1, 0, "v", [0, 0], [1, 0], [1, 8], [0.75, 0]),
        (2, 2, 2, 8, 3, 0, 0, "u", [0, 0], [1, 1], [1, 6], [0.75, 0.25]),
        (3, 3, 3, 1, 4, 2, 0, "w", [0, 1], [1, 1], [1, 6], [0.75, 1.25]),
    ]
    assert result.broker == "broker"
    assert result.decisions["site"].to_list() == ["A", "B", "B", "A"]
    assert set(result.decisions["chosen_by"]) == {"broker"}


def test_a_broker_cannot_see_the_end_nor_write(records):
    jobs = records((0.0, 1, 1.0), status=["finished"])

    def peeks(view):
        return view.field("run_time")

    def writes(view):
        view.load[0] = 5.0

    with pytest.raises(InputError, match="cannot see 'run_time'; known at submission are job_id"):
        simulate(jobs, platform=TWO, broker=peeks)
    with pytest.raises(ValueError, match="read-only"):
        simulate(jobs, platform=TWO, broker=writes)


def test_a_broker_sees_data_outages_and_sites_of_several_pools(records):
    platform = Platform(
        (Site("A", (Pool(2), Pool(3))), Site("B"), Site.of("C", 4)),
        (Link("l", 1e9, ends=("A", "C")),),
    )
    jobs = records((5.0, 1, 1.0), input_bytes=[7.0], dataset=["d"])
    seen = []

    def broker(view):
        seen.append((view.free.tolist(), view.open.tolist(), view.input_bytes.tolist()))
        seen.append((view.local_bytes().tolist(), view.size.tolist(), view.names))

    result = simulate(
        jobs,
        platform=platform,
        policy="fcfs",
        broker=broker,
        replicas=pl.DataFrame({"dataset": ["d"], "site": ["C"]}),
        faults=Faults(outages=(Outage("C", 0.0, 9.0),)),
    )
    assert seen == [
        ([5, 0, 4], [1.0, 1.0, 0.0], [7.0]),
        ([0.0, 0.0, 7.0], [5, 0, 4], ["A", "B", "C"]),
    ]
    assert result.outcomes == {"no_site": 1}


@pytest.mark.parametrize("answer", ["nowhere", 2, -1, 1.5, [], 10**30])
def test_an_answer_that_is_no_site_is_refused_with_the_jobs_name(records, answer):
    with pytest.raises(InputError, match=r"the broker answered .* for job 'j0'; expected a site"):
        simulate(records((0.0, 1, 1.0)), platform=TWO, broker=lambda view: answer)


def test_a_site_that_is_too_small_is_refused_with_the_jobs_name(records):
    jobs = records((0.0, 1, 1.0), (1.0, 5, 1.0))
    with pytest.raises(InputError, match="answered 'A' for job 'j1'"):
        simulate(jobs, platform=TWO, broker=lambda view: "A")


def test_what_a_broker_raises_comes_out_and_ends_the_run(records):
    def broken(view):
        raise KeyError("lost")

    asked = demand(records((0.0, 1, 1.0), (1.0, 1, 1.0)), TWO)
    run = Simulation(TWO, asked, broker=broken)
    with pytest.raises(KeyError, match="lost"):
        run.until()
    with pytest.raises(InputError, match="start it again"):
        run.until()


def test_a_compiled_broker_is_asked_without_python(jobs):
    @njit
    def emptiest(job, jobs, sites, pools):
        best, lowest = -1, 1e300
        for s in range(len(sites)):
            load = sites[s].held / sites[s].cores
            if load < lowest and pools[sites[s].first_pool].cores >= jobs[job].cores:
                best, lowest = s, load
        return best

    platform = Platform((Site.of("A", 64), Site.of("B", 256), Site.of("C", 256)))
    options = {"platform": platform, "policy": "fcfs"}
    compiled = simulate(jobs, broker=emptiest, **options)
    plain = simulate(jobs, broker="least_loaded", faults=Faults(), **options)
    assert compiled.broker == "emptiest"
    assert compiled.jobs.collect().equals(plain.jobs.collect())

    @njit
    def wrong(job, jobs, sites, pools):
        return 7

    with pytest.raises(InputError, match="answered 7 for a job"):
        simulate(jobs, broker=wrong, **options)


def test_brokers_that_are_none_are_refused(records):
    jobs = records((0.0, 1, 1.0))
    with pytest.raises(UnknownNameError, match="did you mean 'data_local'"):
        simulate(jobs, platform=TWO, broker="datalocal")
    with pytest.raises(InputError, match="a name or a callable, got a int"):
        simulate(jobs, platform=TWO, broker=3)
    with pytest.raises(InputError, match="limit: expected 1"):
        simulate(jobs, platform=TWO, limit=0)
    with pytest.raises(InputError, match="but none is given"):
        Simulation(TWO, demand(jobs, TWO), rules=Rules(broker=Brokerage.CALLED))
