"""Copies that placement orders, and brokers that answer later: against closed forms and reruns."""

import ctypes
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.faults import NO_FAULTS, Failure, Faults
from gridtwin.sim.kernel.codes import LATER, Brokerage, Order, Outcome
from gridtwin.sim.kernel.grid import ASKED, DONE, REACHED, advance
from gridtwin.sim.kernel.network import EFFICIENCY, LATENCY
from gridtwin.sim.kernel.orders import carry_out
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage

ASK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
NOBODY = ASK(lambda job: -1)
SPEED = 1e8


def scene(*storages, latency=0.0):
    """Return site s, which reads from an origin at `SPEED`, and site t beyond another such link."""
    links = tuple(Link(name, SPEED / EFFICIENCY, latency, "split") for name in ("one", "two"))
    routes = (Route("o", "s", ("one",)), Route("o", "t", ("two",)), Route("s", "t", ("two",)))
    return Platform((Site("s", (Pool(2),), storages), Site("t", (Pool(2),))), links, routes, ("o",))


def order(state, *rows, at):
    told = np.full(len(rows), -1)
    carry_out(state, np.array(rows, np.int64), told, at)
    return [Order(k) for k in told]


def go(state, until=np.inf):
    return advance(state, until, sys.maxsize, NOBODY)


def test_a_copy_takes_time_and_space_and_is_read_afterwards(grid):
    jobs = grid.work([0.0, 20.0], 1.0, reads=[[], [0]], sizes=[5e8], at=[[2]], site=[0, 0])
    disk = Storage("disk", 6e8)
    state = assemble(scene(disk, latency=0.01), jobs, Rules(copies=10), NO_FAULTS, 0)
    assert go(state, 2.0) == REACHED
    assert order(state, (0, 0, 1), at=2.0) == [Order.DONE]
    assert state.nodes[0]["used"] == 5e8
    assert order(state, (0, 0, 0), at=2.0) == [Order.ABSENT]  # it is not there yet
    assert go(state) == DONE
    copy = state.copies[0]
    assert copy["end"] == pytest.approx(2.0 + LATENCY * 0.01 + 5.0)
    assert (copy["source"], copy["node"], copy["bytes"], copy["begin"]) == (2, 0, 5e8, 2.0)
    assert state.attempts["end"][:2].tolist() == [1.0, 21.0]
    assert state.world[0]["transfers"] == state.world[0]["copying"] == 0


def test_a_copy_takes_its_share_of_the_link(grid):
    jobs = grid.work([0.0], 1.0, reads=[[0]], sizes=[5e8, 5e8], at=[[2], [2]], site=0)
    state = assemble(scene(), jobs, Rules(copies=1), NO_FAULTS, 0)
    go(state, 1.0)
    assert order(state, (1, 0, 1), (0, 1, 1), at=1.0) == [Order.DONE, Order.BUSY]
    go(state)
    # alone for 1 s, then half each until the job's 5e8 are there at 9 s; the copy has 1e8 to go
    assert state.transfers[0]["end"] == pytest.approx(9.0)
    assert state.copies[0]["end"] == pytest.approx(10.0)


def test_what_cannot_be_done_is_told(grid):
    jobs = grid.work([0.0, 50.0], 1.0, reads=[[0], [1]], sizes=[5e8, 2e8], at=[[2], [0]], site=0)
    disk = Storage("disk", 1e8)
    state = assemble(scene(disk), jobs, Rules(copies=9), NO_FAULTS, 0)
    go(state, 1.0)
    rows = [(0, 0, 1), (0, 2, 1), (1, 1, 1), (1, 0, 0), (0, 2, 0), (1, 2, 1)]
    told = order(state, *rows, at=1.0)
    names = ["FULL", "THERE", "DONE", "IN_USE", "IN_USE", "NO_WAY"]
    assert [order.name for order in told] == names
    go(state, 40.0)
    assert order(state, (0, 2, 0), (1, 0, 0), (1, 1, 0), at=40.0) == [
        Order.LAST,
        Order.DONE,
        Order.LAST,
    ]
    assert state.nodes["used"].tolist() == [0.0, 2e8, 0.0]  # what was there at first counts not
    go(state)
    assert state.transfers[1]["source"] == 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_orders_of_any_kind_leave_the_books_right(grid, seed):
    rng = np.random.default_rng(seed)
    platform = grid.platform(rng)
    jobs = grid.jobs(rng, platform)
    rules = Rules(copies=30, copying=int(rng.integers(1, 10)))
    state = assemble(platform, jobs, rules, NO_FAULTS, 0)
    files, nodes = len(state.file_bytes), len(platform.sites)
    for time in np.sort(rng.uniform(0, 300, 6)):
        if go(state, time) == DONE:
            break
        rows = np.stack(
            [rng.integers(0, files, 9), rng.integers(0, nodes, 9), rng.random(9) < 0.7], axis=1
        )
        told = np.empty(9, np.int64)
        carry_out(state, rows.astype(np.int64), told, time)
        assert state.world[0]["copying"] <= rules.copying
        assert (state.nodes["used"] <= state.nodes["capacity"] * (1 + 1e-12)).all()
    assert go(state) == DONE
    made = state.copies[: state.world[0]["copies"]]
    assert (made["end"] >= made["begin"]).all()
    assert state.world[0]["copying"] == 0
    outputs = np.zeros(len(state.nodes))
    ended = state.attempts[: state.world[0]["attempts"]]
    fine = ended[ended["outcome"] == Outcome.FINISHED]
    np.add.at(outputs, fine["site"], state.jobs["output"][fine["job"]])
    there = [set() for _ in state.nodes]
    for file in range(files):
        r, stays = state.file_head[file], 0
        while r >= 0:
            row = state.replicas[r]
            assert (row["file"], row["pins"]) == (file, 0)
            stays += not row["cached"]
            if row["kept"]:
                outputs[row["node"]] += state.file_bytes[file]
            key = (file, int(row["cached"]))
            assert key not in there[row["node"]]
            there[row["node"]].add(key)
            r = row["next"]
        assert stays
    np.testing.assert_allclose(state.nodes["used"], outputs, atol=10.0)
    assert (state.jobs["outcome"] > 0).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_a_broker_that_answers_later_gets_the_same_run(grid, seed):
    rng = np.random.default_rng(seed)
    platform = grid.platform(rng)
    jobs = grid.jobs(rng, platform)
    faults = Faults(0.3, (Failure("a:1"),), attempts=3, retry_delay=float(rng.choice([0.0, 5.0])))
    rules = Rules(broker=Brokerage.CALLED, dispatch=float(rng.choice([0.0, 2.0])))

    def choose(state, job):
        widest = np.flatnonzero(state.sites["widest"] >= state.jobs["cores"][job])
        if not len(widest) or state.jobs["memory"][job] > 0.0:
            return -1
        return int(widest[(job + state.sites["queued"].sum()) % len(widest)])

    runs = []
    for later in (False, True):
        state = assemble(platform, jobs, rules, faults, seed)
        asked = [0]

        @ASK
        def ask(job, state=state, asked=asked, later=later):
            asked[0] += 1
            return LATER if later and asked[0] % 3 else choose(state, job)

        why = ASKED
        while why == ASKED:
            why = advance(state, np.inf, sys.maxsize, ask)
        assert why == DONE
        runs.append(state)
    once, again = runs
    n = once.world[0]["attempts"]
    assert again.world[0]["attempts"] == n
    for name in ("job", "site", "ready", "start", "staged", "end", "outcome"):
        np.testing.assert_array_equal(once.attempts[name][:n], again.attempts[name][:n])
    assert once.world[0]["events"] == again.world[0]["events"]
