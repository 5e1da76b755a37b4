"""Placement by name: what every policy must hold, and what each does in small known cases."""

import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.policy.data_view import DataView
from gridtwin.policy.placement import (
    HotSet,
    Popularity,
    Prefetch,
    Step,
    placement,
    placement_names,
)
from gridtwin.policy.placing import order, simulate_with_placement
from gridtwin.policy.rebalancing import LRU, NetworkRebalance, Rebalance
from gridtwin.sim import Link, Platform, Pool, Site, Storage, simulate
from gridtwin.sim.assemble import Rules
from gridtwin.sim.demand import demand
from gridtwin.sim.kernel.codes import Order
from gridtwin.sim.kernel.network import EFFICIENCY
from gridtwin.sim.run import Simulation
from gridtwin.trace import JobTable, Provenance

NAMES = placement_names()
GB = 1e9
SPEED = 1e8


def grid(*, cores=(2, 2, 2), room=(None, None, None), speed=(SPEED, SPEED, SPEED)):
    """Make sites A, B, C round a hub, each with a disk, and a store of data."""
    sites = tuple(
        Site(name, (Pool(width),), (Storage("disk", space),))
        for name, width, space in zip("ABC", cores, room, strict=True)
    )
    links = [
        Link(f"to {name}", s / EFFICIENCY, 0.0, "split", ends=("hub", name))
        for name, s in zip("ABC", speed, strict=True)
    ]
    links.append(Link("to store", SPEED / EFFICIENCY, 0.0, "split", ends=("hub", "store")))
    return Platform(sites, tuple(links), routers=("hub", "store"))


def table(site, reads, *, every=10.0, run=5.0, submit=None):
    """Let job k run at the k-th site and read the k-th file; its letter is its data set."""
    n = len(site)
    frame = {
        "job_id": [f"j{k:03}" for k in range(n)],
        "submit_time": np.arange(n) * every if submit is None else np.asarray(submit, float),
        "cores_req": np.ones(n, int),
        "run_time": np.broadcast_to(np.asarray(run, float), n),
        "site": list(site),
        "dataset": [name[0] for name in reads],
    }
    return JobTable.from_frame(pl.DataFrame(frame), Provenance(source="made up", rows_read=n))


def files(reads, *, size=GB):
    ids = [f"j{k:03}" for k in range(len(reads))]
    sizes = [size.get(name, GB) if isinstance(size, dict) else size for name in reads]
    return pl.DataFrame({"job_id": ids, "lfn": list(reads), "bytes": sizes})


def at(where):
    """Say where files are: ``{"a1": "A B"}``; those not named are in the store."""
    rows = [(name, site) for name, sites in where.items() for site in sites.split()]
    return pl.DataFrame(rows, schema={"lfn": pl.String, "site": pl.String}, orient="row")


def standing(site, reads, until, *, platform=None, where=None, size=GB, **options):
    """Return a simulation of jobs at their own sites at a time, and what placement sees then."""
    platform = grid() if platform is None else platform
    asked = demand(
        table(site, reads, **options),
        platform,
        recorded=True,
        files=files(reads, size=size),
        replicas=at({name: "store" for name in reads} | (where or {})),
    )
    run = Simulation(platform, asked, rules=Rules(copies=100))
    run.until(until)
    view = DataView(run)
    view.look(until)
    return run, view


def told(run, view, steps):
    """Return steps as texts: ``a1>B`` to copy, ``a1-B`` to remove."""
    names = run.demand.work.files.names
    return [f"{names[s.file]}{'>' if s.copy else '-'}{view.names[s.site]}" for s in steps]


def test_what_is_seen_is_what_has_happened():
    run, view = standing("AAB", ["a1", "a2", "b1"], 8.0, every=4.0, where={"b1": "B"})
    assert view.dataset_names == ["a", "b"]
    assert view.total.tolist() == [2e9, 1e9]
    assert view.files_of(0).tolist() == [0, 1]
    # the first two jobs have started, the third has just come and started too
    assert view.reads["file"].tolist() == [0, 1, 2]
    assert view.reads["time"].tolist() == [0.0, 4.0, 8.0]
    assert not len(view.moves["file"])
    assert view.has(np.array([2, 2, 0]), np.array([1, 0, 0])).tolist() == [True, False, False]
    np.testing.assert_allclose(view.seconds(np.array([0, 2, 2]), np.array([0, 0, 1])), [10, 10, 0])
    assert view.stored.tolist() == [0.0, 1e9, 0.0]
    run.until(30.0)
    view.look(30.0)
    assert view.moves["site"].tolist() == [0, 0]
    assert view.moves["source"].tolist() == [4, 4]
    assert view.now == 30.0


def test_queued_jobs_have_their_inputs_fetched_in_turn():
    reads = ["a1", "a2", "a3", "a3", "b1", "b2"]
    run, view = standing("AAAAAB", reads, 1.0, submit=[0, 0, 0, 0, 0, 0])
    steps = Prefetch()(view)
    assert told(run, view, steps) == ["a3>A", "b1>A"]  # two started, a3 is asked for twice
    assert told(run, view, Prefetch(1)(view)) == ["a3>A"]
    assert order(run, steps, 1.0) == [Order.DONE] * 2
    view.look(1.0)
    assert Prefetch()(view) == []  # they are under way


def test_a_data_set_goes_where_its_files_are_read_from_elsewhere():
    reads = ["a1", "a2", "b1", "b2", "a3", "b3"]
    run, view = standing("AACBAB", reads, 60.0, submit=[0, 0, 0, 0, 99, 99], where={"b2": "B"})
    assert told(run, view, HotSet(2)(view)) == ["a1>A", "a2>A", "a3>A"]
    assert HotSet(3)(view) == []
    assert HotSet(2, window=10.0)(view) == []
    assert told(run, view, HotSet(1)(view))[3:] == ["b1>C", "b2>C", "b3>C"]


def test_popular_data_sets_go_whole_to_idle_sites():
    reads = ["a1", "a1", "b1", "a2", "c1"]
    run, view = standing(
        "AAAAA", reads, 40.0, submit=[0, 20, 30, 99, 99], platform=grid(cores=(4, 2, 2)), run=100.0
    )
    whole = told(run, view, Popularity(1)(view))
    assert whole == ["a1>B", "a2>B", "b1>B"]  # c was not read yet; A is loaded
    assert told(run, view, Popularity(1, budget=1.5e9)(view)) == ["b1>B"]
    assert sorted(told(run, view, Popularity(2)(view))) == sorted(
        ["a1>B", "a2>B", "a1>C", "a2>C", "b1>B", "b1>C"]
    )
    narrow = grid(room=(None, 1.5e9, 0.0))
    run, view = standing("AAA", reads[1:4], 40.0, run=200.0, submit=[0, 1, 2], platform=narrow)
    assert told(run, view, Popularity(1)(view)) == ["b1>B", "a1>A", "a2>A"]


def test_files_leave_full_sites_and_are_removed_when_they_have_come():
    disks = (("a1", GB), ("a2", GB), ("a3", GB), ("a4", GB))
    platform = grid(room=(4e9, 4e9, 4e9))
    full = Site("A", (Pool(2),), (Storage("disk", 4e9, files=disks),))
    platform = Platform((full, *platform.sites[1:]), platform.links, (), platform.routers)
    reads = ["a1", "a2", "a3", "a4"]
    asked = demand(
        table("CBCB", reads, submit=[0, 10, 200, 300]),
        platform,
        recorded=True,
        files=files(reads),
    )
    run = Simulation(platform, asked, rules=Rules(copies=100))
    run.until(100.0)
    view = DataView(run)
    view.look(100.0)
    assert view.stored.tolist() == [4e9, 0.0, 0.0]
    move = Rebalance(0.0)
    steps = move(view)
    # a third of all space is taken; those never read go first
    assert told(run, view, steps) == ["a3>B", "a4>C", "a1>B"]
    assert order(run, steps[:2], 100.0) == [Order.DONE] * 2
    view.look(100.0)
    assert told(run, view, move(view)) == ["a1>B"]  # those that come count
    run.until(150.0)
    view.look(150.0)
    removals = [step for step in move(view) if not step.copy]
    assert told(run, view, removals) == ["a3-A", "a4-A"]
    assert order(run, removals, 150.0) == [Order.DONE] * 2
    assert run.state.nodes["capacity"][0] - run.state.nodes["used"][0] == 2e9
    run.until()
    assert run.stop == "done"


def test_what_is_read_over_slow_ways_goes_nearer():
    slow = grid(speed=(SPEED / 10, SPEED, SPEED))
    reads = ["a1", "a1", "a1", "b1"]
    where = {"a1": "A", "b1": "B"}
    run, view = standing("CCCC", reads, 995.0, submit=[0, 0, 300, 990], platform=slow, where=where)
    assert view.moves["site"].tolist() == [2, 2, 2]
    # read three times out of A, 100 s each; at C it would be there
    assert told(run, view, NetworkRebalance()(view)) == ["a1>C"]
    assert NetworkRebalance(worth=3.0)(view) == []


def test_the_copies_that_were_read_longest_ago_are_removed():
    platform = grid(room=(3.2e9, None, None))
    reads = ["a1", "a2", "a3", "b1"]
    run, view = standing("AAAA", reads, 5.0, submit=[0, 200, 100, 900], platform=platform)
    assert order(run, [Step(k, 0) for k in range(3)], 5.0) == [Order.DONE] * 3
    run.until(300.0)
    view.look(300.0)
    assert view.free[0] == pytest.approx(0.2e9)
    assert told(run, view, LRU()(view)) == ["a1-A"]
    assert told(run, view, LRU(0.1, 0.7)(view)) == ["a1-A", "a3-A", "a2-A"]
    assert LRU(0.05)(view) == []
    assert order(run, LRU()(view), 300.0) == [Order.DONE]
    assert run.state.nodes["used"][0] == 2e9


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(1)
    reads = [
        f"{'abcde'[int(d)]}{int(f)}"
        for d, f in zip(rng.integers(0, 5, 150), rng.integers(0, 9, 150), strict=True)
    ]
    jobs = table(rng.choice(list("ABC"), 150), reads, every=8.0, run=rng.exponential(40.0, 150))
    where = at({name: "A store" if name < "c" else "A" for name in reads})
    return jobs, {
        "files": files(reads),
        "replicas": where,
        "platform": grid(room=(6e10, 6e9, 2e10)),
    }


@pytest.mark.parametrize("name", [*NAMES, "hot_set+lru"])
def test_whoever_places_all_jobs_end_and_no_disk_overflows(many, name):
    jobs, options = many
    placed = simulate_with_placement(jobs, name, every=50.0, queueing="fcfs", **options)
    again = simulate_with_placement(jobs, name, every=50.0, queueing="fcfs", **options)
    assert placed.result.outcomes == {"finished": 150}
    assert placed.result.complete
    assert placed.copies.equals(again.copies)
    same = {key for key in placed.figures if key != "decision_cpu"}
    assert {key: placed.figures[key] for key in same} == {key: again.figures[key] for key in same}
    arrived = placed.copies.drop_nulls("end")
    assert placed.figures["placed_bytes"] == arrived["bytes"].sum()
    assert placed.figures["copies"] == arrived.height
    far = placed.result.transfers.filter(pl.col("source") != pl.col("destination"))
    assert placed.figures["remote_bytes"] == far["bytes"].sum()
    assert (arrived["end"] > arrived["start"]).all()
    if name not in ("none", "lru"):
        assert arrived.height


def test_no_placement_is_the_plain_simulation(many):
    jobs, options = many
    plain = simulate(jobs, policy="fcfs", **options)
    placed = simulate_with_placement(jobs, "none", every=50.0, queueing="fcfs", **options)
    assert placed.result.jobs.collect().equals(plain.jobs.collect())
    assert placed.figures["remote_bytes"] == plain.summary()["moved_bytes"]
    s = plain.schedule
    assert placed.figures["mean_queue"] == pytest.approx(float((s.start - s.submit).mean()))


def test_prefetching_uses_the_time_in_which_jobs_wait():
    reads = ["a1", "a2", "a3", "a4"]
    options = {"files": files(reads), "replicas": at(dict.fromkeys(reads, "store"))}
    jobs = table("AAAA", reads, submit=[0, 20, 20, 20], run=100.0)
    options |= {"platform": grid(cores=(1, 1, 1)), "broker": "recorded", "queueing": "fcfs"}
    plain = simulate_with_placement(jobs, "none", every=50.0, **options)
    ahead = simulate_with_placement(jobs, "prefetch", every=50.0, **options)
    assert plain.figures["mean_stage_in"] == pytest.approx(10.0)
    assert ahead.figures["mean_stage_in"] == pytest.approx(2.5)
    assert plain.result.summary()["makespan"] == pytest.approx(440.0)
    assert ahead.result.summary()["makespan"] == pytest.approx(410.0)
    assert ahead.figures["remote_bytes"] == 1e9
    assert ahead.figures["placed_bytes"] == 3e9
    # three at once over one link, from the second decision on
    assert ahead.copies["start"].to_list() == [50.0] * 3
    assert ahead.copies["end"].to_list() == pytest.approx([80.0] * 3)
    assert ahead.copies["destination"].to_list() == ["A"] * 3


def test_wrong_names_times_orders_and_platforms_are_told(many):
    jobs, options = many
    with pytest.raises(UnknownNameError, match="prefetch"):
        placement("prefech")
    with pytest.raises(InputError, match="every"):
        simulate_with_placement(jobs, every=0.0, **options)
    with pytest.raises(InputError, match="no links"):
        simulate_with_placement(jobs, platform=Platform.single(4))
    with pytest.raises(InputError, match="expected a file from 0"):
        simulate_with_placement(jobs, lambda view: [Step(0, 99)], **options)
    with pytest.raises(InputError, match="low"):
        LRU(0.5, 0.1)
