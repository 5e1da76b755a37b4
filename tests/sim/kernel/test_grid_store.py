"""Caches, disks and streams of the grid kernel against plain models and closed forms."""

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.sim.assemble import Rules
from gridtwin.sim.faults import Failure, Faults
from gridtwin.sim.kernel.codes import Moves, Outcome
from gridtwin.sim.kernel.network import EFFICIENCY, LATENCY
from gridtwin.sim.platform import Link, Platform, Pool, Route, Site, Storage

SPEED = 1e8
"""Payload bytes per second of the link."""


def behind(*storages, latency=0.0, cores=1, more=()):
    """Return one site that reads from an origin over a link that gives `SPEED`."""
    site = Site("s", (Pool(cores),), storages)
    link = Link("wan", SPEED / EFFICIENCY, latency, "split")
    return Platform((site, *more), (link,), (Route("o", "s", ("wan",)),), ("o",))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.integers(0, 100),
    st.lists(st.integers(0, 11), max_size=60),
)
def test_a_cache_keeps_what_was_used_last(grid, sizes, room, accesses):
    accesses = [file % len(sizes) for file in accesses]
    cached, fetched = OrderedDict(), []
    for file in accesses:
        if file in cached:
            cached.move_to_end(file)
            continue
        fetched.append(file)
        if sizes[file] <= room:
            while sum(cached.values()) + sizes[file] > room:
                cached.popitem(last=False)
            cached[file] = sizes[file]
    n = len(accesses)
    jobs = grid.work(
        np.arange(n) * 1000.0,
        1.0,
        reads=[[f] for f in accesses],
        sizes=sizes,
        at=[[1]] * len(sizes),
    )
    done = grid.run(behind(Storage("cache", float(room), kind="cache")), jobs)
    assert done.transfers["file"].tolist() == fetched
    assert done.state.nodes[0]["cached"] == sum(cached.values())
    kept = [f for f in range(len(sizes)) if _has(done.state, f, 0)]
    assert kept == sorted(cached)


def _has(state, file, node):
    r = state.file_head[file]
    while r >= 0:
        if state.replicas[r]["node"] == node:
            return True
        r = state.replicas[r]["next"]
    return False


def test_what_is_read_is_not_thrown_away(grid):
    """A reader of file 0 from a slow disk holds it in the cache while file 1 comes."""
    cache = Storage("cache", 100.0, kind="cache", read=1.0)
    jobs = grid.work([0.0, 1000.0, 1001.0], reads=[[0], [0], [1]], sizes=[80, 60], at=[[1]] * 2)
    done = grid.run(behind(cache, cores=3), jobs)
    assert done.transfers["source"].tolist() == [1, 1, 0]
    assert _has(done.state, 0, 0)
    assert not _has(done.state, 1, 0)
    assert (done.state.replicas[: done.state.world[0]["replicas"]]["pins"] == 0).all()


def test_a_disk_that_is_full_fails_jobs_and_never_holds_more(grid):
    disk = Storage("disk", 100.0, files=(("there", 15.0),))
    done = grid.run(behind(disk), grid.work([0.0] * 5, 1.0, output=[40, 40, 40, 5, 1]))
    full, fine = Outcome.STORAGE_FULL, Outcome.FINISHED
    assert done.jobs["outcome"].tolist() == [fine, fine, full, fine, full]
    assert done.state.nodes[0]["used"] == 85.0


def test_a_cache_is_no_limit_to_outputs(grid):
    cache = Storage("cache", 10.0, kind="cache")
    done = grid.run(behind(cache), grid.work([0.0], 1.0, output=100.0))
    assert done.outcome.tolist() == [Outcome.FINISHED]


@pytest.mark.parametrize("cores", [1, 3])
def test_outputs_share_the_bandwidth_of_the_disk(grid, cores):
    done = grid.run(
        behind(Storage("disk", write=10.0), cores=cores), grid.work([0.0] * 3, 2.0, output=100.0)
    )
    alone = np.array([12.0, 24.0, 36.0])
    np.testing.assert_allclose(done.end, alone if cores == 1 else 32.0)
    assert set(done.transfers["kind"]) == {Moves.OUTPUT}
    assert done.transfers["bytes"].tolist() == [100.0] * 3


def test_an_output_is_read_where_it_was_written(grid):
    far = Site("t", ())
    jobs = grid.work(
        [0.0, 0.0],
        1.0,
        output=[5e8, 0.0],
        output_file=[0, -1],
        reads=[[], [0]],
        sizes=[5e8],
        parent_ptr=[0, 0, 1],
        parent=[0],
    )
    done = grid.run(behind(more=(far,)), jobs)
    assert done.end.tolist() == [1.0, 2.0]
    assert len(done.transfers) == 0


def test_a_file_without_a_replica_fails_who_reads_it(grid):
    jobs = grid.work([0.0, 0.0], 1.0, reads=[[0], []], sizes=[5.0], at=[[]])
    done = grid.run(behind(), jobs)
    assert done.jobs["outcome"].tolist() == [Outcome.NO_REPLICA, Outcome.FINISHED]


def test_a_tape_takes_its_time_before_the_first_byte(grid):
    tape = Site("t", (), (Storage("tape", kind="tape", latency=60.0),))
    platform = Platform(
        (Site("s", (Pool(1),)), tape),
        (Link("wan", SPEED / EFFICIENCY, 0.0, "split"),),
        (Route("t", "s", ("wan",)),),
    )
    done = grid.run(platform, grid.work([0.0], reads=[[0]], sizes=[SPEED * 3], at=[[1]]))
    assert done.staged[0] == pytest.approx(63.0)


@pytest.mark.parametrize("run", [4.0, 10.0, 50.0])
@pytest.mark.parametrize("prefetch", [True, False])
@pytest.mark.parametrize("latency", [0.0, 0.01])
@pytest.mark.parametrize("blocks", [1, 4.0, 4.3])
def test_a_stream_takes_as_long_as_its_blocks(grid, blocks, latency, prefetch, run):
    block = 2.5 * SPEED
    size = blocks * block
    parts = np.minimum(block, size - block * np.arange(np.ceil(blocks)))
    read, compute = LATENCY * latency + parts / SPEED, run * parts / size
    there = computed = 0.0
    for k in range(len(parts)):
        if not prefetch:
            there = computed + read[k]
        elif k == 0:
            there = read[0]
        else:  # the next is asked for when this is taken up
            there = max(there, took) + read[k]  # noqa: F821 - set below
        took = max(there, computed)
        computed = took + compute[k]
    jobs = grid.work([7.0], run, stream=True, reads=[[0]], sizes=[size], at=[[1]])
    done = grid.run(behind(latency=latency), jobs, Rules(block=block, prefetch=prefetch))
    assert done.end[0] == pytest.approx(7.0 + computed, rel=1e-12)
    assert done.computed[0] == done.end[0]
    assert done.transfers[["kind", "bytes"]].tolist() == [(Moves.STREAM, size)]
    assert done.transfers["end"][0] == done.staged[0]
    if prefetch and blocks == 4 and latency == 0:
        slower = max(2.5, run / 4)
        assert done.end[0] == pytest.approx(7.0 + 2.5 + 3 * slower + run / 4)


def test_a_stream_of_local_files_takes_as_long_as_its_payload(grid):
    jobs = grid.work([0.0], 9.0, stream=True, reads=[[0, 1]], sizes=[3e9, 7e8], at=[[0], [0]])
    done = grid.run(behind(), jobs)
    assert done.end[0] == pytest.approx(9.0, rel=1e-12)


def test_a_stream_goes_over_from_one_file_to_the_next_and_caches_both(grid):
    cache = Storage("cache", 1e10, kind="cache")
    jobs = grid.work(
        [0.0, 1000.0], 1.0, stream=True, reads=[[0, 1, 2]] * 2, sizes=[2e8, 0.0, 3e8], at=[[1]] * 3
    )
    done = grid.run(behind(cache), jobs, Rules(block=1e8))
    assert done.transfers["file"].tolist() == [0, 2]
    assert done.end[0] == pytest.approx(5.0 + 0.2)
    assert done.end[1] == pytest.approx(1001.0)
    assert done.state.nodes[0]["cached"] == 5e8


@pytest.mark.parametrize("request_", [0.5, 3.0, 11.0])
@pytest.mark.parametrize("stream", [False, True])
def test_jobs_are_killed_when_their_time_is_up(grid, request_, stream):
    """While they read (5 s), while they work (5 s), while they write (10 s)."""
    disk = Storage("disk", write=10.0)
    jobs = grid.work(
        [0.0, 0.0],
        5.0,
        reads=[[0]] * 2,
        sizes=[5 * SPEED],
        at=[[1]],
        output=100.0,
        request=[request_, np.inf],
        stream=stream,
    )
    done = grid.run(behind(disk), jobs, Rules(block=SPEED))
    assert done.outcome.tolist() == [Outcome.WALLTIME, Outcome.FINISHED]
    assert done.end[0] == done.start[1] == request_
    whole = (6.0 if stream else 10.0) + 10.0
    assert done.end[1] - done.start[1] == pytest.approx(whole)


@pytest.mark.parametrize("share", [0.0, 0.37, 1.0])
def test_a_stream_fails_after_its_share_of_the_work(grid, share):
    faults = Faults(1.0, (Failure("x:1", moment=(share, share)),))
    jobs = grid.work([0.0], 20.0, stream=True, reads=[[0]], sizes=[4 * SPEED], at=[[1]])
    done = grid.run(behind(), jobs, Rules(block=SPEED), faults)
    assert done.outcome.tolist() == [Outcome.FAILED]
    assert done.end[0] == pytest.approx(1.0 + 20.0 * share)
