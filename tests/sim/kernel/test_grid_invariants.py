"""What holds in every run of the grid kernel, whatever the platform, the jobs and the faults."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.sim.assemble import Rules
from gridtwin.sim.faults import Failure, Faults
from gridtwin.sim.kernel.codes import Brokerage, Moves, Ordering, Outcome
from gridtwin.sim.kernel.plain_flows import EFFICIENCY, links_of, way
from gridtwin.sim.outages import Outage

SEEDS = st.integers(0, 2**32 - 1)
_LISTS = ("next", "previous", "order")
CASES = settings(max_examples=40, deadline=None)
BUILT_IN = [b for b in Brokerage if b != Brokerage.CALLED]


def faults_from(rng, platform):
    """Return random failures, outages and retries."""
    outages = tuple(
        Outage(
            str(rng.choice(platform.names)),
            float(start),
            float(start + rng.exponential(200.0)),
            float(rng.choice([0.0, 0.0, 0.5])),
        )
        for start in rng.uniform(0, 600, rng.integers(0, 4))
    )
    return Faults(
        float(rng.choice([0.0, 0.3, 1.0])),
        (Failure("a:1", 2.0, (0.0, 0.1, 1.0)), Failure("b:2")),
        again=float(rng.choice([0.0, 0.5])),
        outages=outages,
        outages_kill=bool(rng.random() < 0.7),
        attempts=int(rng.integers(1, 4)),
        retry_delay=float(rng.choice([0.0, 10.0])),
        elsewhere=float(rng.choice([0.0, 1.0])),
    )


def scene(grid, seed, **fixed):
    """Return a random platform, jobs, rules and faults."""
    rng = np.random.default_rng(seed)
    platform = grid.platform(rng)
    jobs = grid.jobs(rng, platform)
    stream, user = rng.random(len(jobs)) < 0.4, rng.integers(0, 4, len(jobs))
    jobs = replace(jobs, stream=stream, user=user)
    rules = {
        "broker": BUILT_IN[rng.integers(len(BUILT_IN))],
        "order": Ordering(int(rng.integers(3))),
        "dispatch": float(rng.choice([0.0, 5.0])),
        "pilot": float(rng.choice([0.0, 3.0])),
        "block": float(rng.choice([1e7, 1e9])),
        "prefetch": bool(rng.random() < 0.5),
    }
    return platform, jobs, Rules(**rules | fixed), faults_from(rng, platform)


def used(start, end, amount):
    """Return the most that is used at one time; what ends at an instant is free at it."""
    times = np.concatenate([end, start])
    change = np.concatenate([-amount, amount])
    order = np.lexsort((np.concatenate([np.zeros(len(end)), np.ones(len(start))]), times))
    return np.cumsum(change[order]).max(initial=0.0)


def ran(done):
    return done.attempts[~np.isnan(done.start)]


@CASES
@given(SEEDS)
def test_cores_and_memory_are_never_oversubscribed_and_all_come_back(grid, seed):
    platform, jobs, rules, faults = scene(grid, seed)
    done = grid.run(platform, jobs, rules, faults, seed=seed)
    rows, pools = ran(done), done.state.pools
    for p in range(len(pools)):
        mine = rows[rows["pool"] == p]
        # rows of no length hold nothing at any time
        mine = mine[mine["end"] > mine["start"]]
        cores = jobs.cores[mine["job"]]
        assert used(mine["start"], mine["end"], cores) <= pools[p]["cores"]
        memory = jobs.memory[mine["job"]]
        assert used(mine["start"], mine["end"], memory) <= pools[p]["memory"]
        assert (cores <= pools[p]["cores"]).all()
        assert set(mine["site"].tolist()) <= {pools[p]["site"]}
    assert np.array_equal(pools["free"], pools["cores"])
    assert np.allclose(
        pools["memory_free"][np.isfinite(pools["memory"])],
        pools["memory"][np.isfinite(pools["memory"])],
    )
    assert not any(done.state.sites[name].any() for name in ("queued", "running", "held"))
    assert not done.state.classes["flows"].any()
    assert not done.state.links["flows"].any()
    used_replicas = done.state.replicas[: done.state.world[0]["replicas"]]
    assert not used_replicas["pins"].any()


@CASES
@given(SEEDS)
def test_at_each_instant_as_many_cores_are_taken_as_attempts_say(grid, seed):
    platform, jobs, rules, faults = scene(grid, seed)
    done = grid.run(platform, jobs, rules, faults, seed=seed)
    rows = ran(done)
    edges = np.unique(np.concatenate([rows["start"], rows["end"]]))
    for at in edges[:: max(len(edges) // 8, 1)]:
        pools = grid.run(platform, jobs, rules, faults, seed=seed, until=at).state.pools
        now = (rows["start"] <= at) & (rows["end"] > at)
        assert (pools["cores"] - pools["free"]).sum() == jobs.cores[rows["job"][now]].sum()


@CASES
@given(SEEDS)
def test_times_rise_and_each_job_has_one_outcome(grid, seed):
    platform, jobs, rules, faults = scene(grid, seed)
    done = grid.run(platform, jobs, rules, faults, seed=seed)
    times = np.stack([done.ready, done.start, done.staged, done.computed, done.end])
    for row in times.T:
        assert (np.diff(row[~np.isnan(row)]) >= 0).all()
    assert (done.ready >= jobs.submit[done.attempts["job"]]).all()
    lost = done.site < 0
    assert np.array_equal(np.isnan(done.start), lost)
    assert np.array_equal(np.isnan(done.end), lost)
    assert (done.outcome > 0).all()
    again = (Outcome.FAILED, Outcome.OUTAGE, Outcome.STORAGE_FULL, Outcome.NO_REPLICA)
    for job in range(len(jobs)):
        rows = done.attempts[done.attempts["job"] == job]
        assert rows["number"].tolist() == list(range(len(rows)))
        assert 1 <= len(rows) <= faults.attempts
        assert done.jobs["outcome"][job] == rows["outcome"][-1]
        assert np.isin(rows["outcome"][:-1], again).all()
        if len(rows) < faults.attempts:
            assert rows["outcome"][-1] not in again
        assert np.allclose(rows["ready"][1:], rows["end"][:-1] + faults.retry_delay)
    failed = done.outcome == Outcome.FAILED
    assert (done.code[failed] >= 0).all()
    assert (done.code[lost] == -1).all()
    over = done.end - done.start > jobs.request[done.attempts["job"]] * (1 + 1e-9) + rules.pilot
    assert not over.any()


@CASES
@given(SEEDS)
def test_nothing_starts_in_a_full_outage_and_what_runs_is_killed_when_it_begins(grid, seed):
    platform, jobs, rules, faults = scene(grid, seed)
    done = grid.run(platform, jobs, rules, faults, seed=seed)
    killed = done.outcome == Outcome.OUTAGE
    starts = {(platform.names.index(o.site), o.start) for o in faults.outages if o.factor == 0}
    for k in np.flatnonzero(killed):
        assert (int(done.site[k]), float(done.end[k])) in starts
    for outage in faults.outages:
        mine = done.site == platform.names.index(outage.site)
        start, end = done.start[mine], done.end[mine]
        if outage.factor == 0:
            assert not ((start > outage.start) & (start < outage.end)).any()
            if faults.outages_kill:
                assert not ((start < outage.start) & (end > outage.start)).any()


@CASES
@given(SEEDS, st.sampled_from([Ordering.FCFS, Ordering.PRIORITY]))
def test_queues_keep_their_order(grid, seed, order):
    platform, jobs, rules, faults = scene(grid, seed, order=order)
    done = grid.run(platform, jobs, rules, faults, seed=seed)
    for s in range(len(platform.sites)):
        mine = done.attempts[done.site == s]
        came = mine["ready"] + rules.dispatch
        if order == Ordering.FCFS:
            first = np.lexsort((np.arange(len(mine)), came))
            assert (np.diff(mine["start"][first]) >= 0).all()
            continue
        rank = jobs.priority[mine["job"]]
        for a in mine:  # who came before and is higher has not to wait longer
            mine_rank = jobs.priority[a["job"]]
            ahead = (came < a["ready"] + rules.dispatch) & (rank >= mine_rank)
            assert (mine["start"][ahead] <= a["start"]).all()
            waited = (came < a["start"]) & (rank > mine_rank)
            assert (mine["start"][waited] <= a["start"]).all()


@CASES
@given(SEEDS)
def test_bytes_are_conserved_and_disks_and_caches_hold_no_more_than_they_can(grid, seed):
    platform, jobs, rules, faults = scene(grid, seed)
    done = grid.run(platform, jobs, rules, faults, seed=seed)
    moves, size = done.transfers, jobs.files.bytes
    reading = moves[moves["kind"] != Moves.OUTPUT]
    writing = moves[moves["kind"] == Moves.OUTPUT]
    assert np.array_equal(reading["bytes"], size[reading["file"]])
    assert np.array_equal(writing["bytes"], jobs.output[done.attempts["job"][writing["attempt"]]])
    assert (moves["end"] >= moves["start"]).all()
    assert np.array_equal(moves["destination"], done.site[moves["attempt"]])
    for k in np.flatnonzero(done.outcome == Outcome.FINISHED):
        job, site = done.attempts["job"][k], done.site[k]
        files = jobs.input_file[jobs.input_ptr[job] : jobs.input_ptr[job + 1]]
        came = sorted(reading["file"][reading["attempt"] == k].tolist())
        rest = files.tolist()
        for file in came:
            rest.remove(file)  # raises for what is no input, or came twice
        held = {
            int(f)
            for f, n in zip(jobs.files.replica_file, jobs.files.replica_node, strict=True)
            if n == site
        }
        cache = done.state.nodes[site]["cache"] > 0
        assert all(f in held or size[f] == 0 or cache for f in rest)
    nodes = done.state.nodes
    assert (nodes["used"] <= nodes["capacity"]).all()
    assert (nodes["cached"] <= nodes["cache"]).all()
    fine = done.outcome == Outcome.FINISHED
    written = np.bincount(
        done.site[fine], jobs.output[done.attempts["job"][fine]], len(platform.sites)
    )
    np.testing.assert_allclose(nodes["used"][: len(platform.sites)], written)


@CASES
@given(SEEDS)
def test_links_never_give_more_than_their_bandwidth(grid, seed):
    """What begins and ends between two instants cannot be more than a link lets through."""
    platform, jobs, rules, faults = scene(grid, seed)
    jobs = replace(jobs, stream=None)
    done = grid.run(platform, jobs, rules, faults, seed=seed)
    moves = done.transfers[done.transfers["kind"] == Moves.STAGE_IN]
    nodes, links = [*platform.names, *platform.routers], links_of(platform)
    ways = {
        (a, b): way(platform, nodes[a], nodes[b])
        for a, b in {(int(m["source"]), int(m["destination"])) for m in moves}
    }
    share = {name: np.zeros(len(moves)) for name in links}
    for k, move in enumerate(moves):
        path = ways[int(move["source"]), int(move["destination"])]
        assert (
            move["end"] - move["start"]
            >= (13.01 * path.latency + move["bytes"] / (EFFICIENCY * path.bound)) * (1 - 1e-9)
            - 1e-9
        )
        for name, use in path.use.items():
            share[name][k] = use / EFFICIENCY * move["bytes"]
    for name, amount in share.items():
        if not amount.any():
            continue
        for begin in moves["start"][amount > 0]:
            inside = moves["start"] >= begin
            order = np.argsort(moves["end"][inside])
            moved = np.cumsum(amount[inside][order])
            room = links[name][0] * (moves["end"][inside][order] - begin)
            assert (moved <= room * (1 + 1e-9) + 1e-3).all()


def fields_of(table):
    return {name: table[name].tolist() for name in table.dtype.names if name not in _LISTS}


@CASES
@given(SEEDS, st.lists(st.floats(0, 1000), max_size=6).map(sorted))
def test_runs_are_the_same_again_and_in_steps(grid, seed, stops):
    platform, jobs, rules, faults = scene(grid, seed)
    once = grid.run(platform, jobs, rules, faults, seed=seed)
    for again in (
        grid.run(platform, jobs, rules, faults, seed=seed),
        grid.run(platform, jobs, rules, faults, seed=seed, stops=stops),
        grid.run(platform, jobs, rules, faults, seed=seed, few=7),
    ):
        assert str(fields_of(again.attempts)) == str(fields_of(once.attempts))
        assert str(fields_of(again.transfers)) == str(fields_of(once.transfers))
        assert again.jobs["outcome"].tolist() == once.jobs["outcome"].tolist()
