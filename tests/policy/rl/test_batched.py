"""Decisions on the batch machine: start times, observations and scores against plain forms."""

import subprocess
import sys

import numpy as np
import pytest

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.run import start_times
from gridtwin.policy.batch.stream import Stream, read_rlscheduler, rlscheduler_starts
from gridtwin.policy.compare import figures
from gridtwin.policy.rl.batched import Batched
from gridtwin.policy.rl.kernel import OBJECTIVES


def made(n=120, *, seed=0, cores=16, gap=60.0):
    """Return a stream that queues, with equal times and jobs that outrun their request."""
    rng = np.random.default_rng(seed)
    run = rng.choice([0.0, 30.0, 60.0, 120.0, 600.0], n)
    need = rng.choice([1, 2, 3, 8, cores], n, p=[0.4, 0.2, 0.2, 0.15, 0.05])
    return Stream(
        submit=1000.0 + np.cumsum(rng.integers(0, 3, n) * gap),
        need=need,
        width=need,
        run=run,
        request=run * rng.choice([0.5, 1.0, 1.0, 2.0], n) + 1.0,
        user=rng.integers(0, 3, n),
        cores=cores,
        row=np.arange(n),
    )


def shortest(batched, rows_from=0):
    """Return in each sequence the row of the shortest job by (request, submit time, number)."""
    stream, rows = batched.stream, []
    for b in range(len(batched.look.rows)):
        jobs = batched.job_numbers(b)[rows_from:]
        key = (jobs, stream.submit[jobs], stream.request[jobs])
        rows.append(rows_from + int(np.lexsort(key)[0]) if len(jobs) else 0)
    return rows


def played(batched, first, choose):
    batched.reset(first)
    while not batched.look.over.all():
        batched.step(choose(batched))
    return np.stack([batched.starts(b) for b in range(len(batched.look.rows))])


@pytest.mark.parametrize(
    ("backfill", "compat"),
    [
        ("none", None),
        ("easy", None),
        ("conservative", None),
        ("none", "rlscheduler"),
        ("easy", "rlscheduler"),
    ],
)
def test_shortest_first_played_is_shortest_first_run(backfill, compat):
    stream, first = made(150, seed=1), [0, 7, 50]
    batched = Batched(stream, 3, 100, window=100, backfill=backfill, compat=compat)
    found = played(batched, first, shortest)
    expected = start_times(
        stream, "sjf", first=first, length=100, backfill=backfill, compat=compat, commit=True
    )
    assert found.tolist() == expected.tolist()
    assert (expected > stream.submit[np.add.outer(first, np.arange(100))]).mean() > 0.3


@pytest.mark.parametrize("backfill", ["none", "easy"])
def test_shortest_first_played_on_the_published_trace(data_dir, backfill):
    stream = read_rlscheduler(data_dir / "swf" / "lublin_256.swf.gz")
    first = rlscheduler_starts(len(stream), 256)[:4]
    batched = Batched(stream, 4, 256, window=256, backfill=backfill, compat="rlscheduler")
    found = played(batched, first, shortest)
    expected = start_times(
        stream, "sjf", first=first, length=256, backfill=backfill, compat="rlscheduler"
    )
    assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("policy", ["fcfs", "sjf"])
def test_overtaking_by_the_policy_is_easy_backfilling(policy):
    stream, first = made(150, seed=2), [0, 30]
    batched = Batched(stream, 2, 120, overtaking="easy", policy=policy, window=120)

    def choose(batched):
        if policy == "sjf":
            return np.where(batched.look.rows > 1, shortest(batched, 1), 0)
        return (batched.look.rows > 1).astype(int)

    found = played(batched, first, choose)
    run = start_times(stream, policy, first=first, length=120, backfill="easy")
    assert found.tolist() == run.tolist()
    found = played(batched, first, lambda batched: [0, 0])
    assert found.tolist() == start_times(stream, policy, first=first, length=120).tolist()
    assert found.tolist() != run.tolist()


def test_all_that_fit_may_overtake_where_that_is_allowed():
    stream = Stream(  # 3 of 4 cores are busy; the second job needs all, the third runs for long
        submit=np.array([0.0, 1.0, 2.0]),
        need=np.array([3, 4, 1]),
        width=np.array([3, 4, 1]),
        run=np.array([10.0, 5.0, 100.0]),
        request=np.array([10.0, 5.0, 100.0]),
        user=np.zeros(3, np.int64),
        cores=4,
        row=np.arange(3),
    )
    batched = Batched(stream, 1, 3, overtaking="fitting", window=4)
    batched.reset(0)
    assert batched.job_numbers(0).tolist() == [1, 2]
    assert batched.look.obs[0, :2, 6].tolist() == [1.0, 0.0]  # it would delay the head
    assert batched.look.mask[0].tolist() == [1, 1, 0, 0]
    batched.step([1])
    assert batched.look.done[0]
    assert batched.starts(0).tolist() == [0.0, 102.0, 2.0]
    harmless = Batched(stream, 1, 3, overtaking="easy", window=4)
    harmless.reset(0)
    assert harmless.look.rows[0] == 0  # nothing to decide
    harmless.step([0])
    assert harmless.starts(0).tolist() == [0.0, 10.0, 15.0]


def plain_rows(batched, b, jobs, compat):
    """Return what a window of these jobs shows, by the description."""
    stream, env = batched.stream, batched.machines.state.env[b]
    out = np.zeros((batched.window, 8))
    if compat:
        out[:] = [0, 1, 1, 1, 1, 1, 1, 0]
    for row, j in enumerate(jobs):
        wait, request = env.now - stream.submit[j], stream.request[j]
        share, fits = stream.need[j] / stream.cores, stream.need[j] <= env.free
        most = 1 - 1e-5
        if compat:
            users = stream.user.max() + 1
            one = [wait / 43200, request / stream.run.max(), share, 1, stream.user[j] / users]
            one = [*np.minimum(one[:3], most), 1, one[4], 1, 1, most if fits else 1e-5]
        else:
            long = np.log(1 + request) / np.log(1 + 30 * 86400)
            one = [wait / (wait + 3600), long, share, wait / (wait + max(request, 1))]
            one += [env.free / stream.cores, fits, env.queued / (env.queued + batched.window), 1]
        out[row] = one
    return out


@pytest.mark.parametrize("compat", [None, "rlscheduler"])
@pytest.mark.parametrize("window", [8, 64])
def test_what_is_shown_is_what_is_described(compat, window):
    stream, rng = made(150, seed=3, gap=20.0), np.random.default_rng(0)
    batched = Batched(stream, 2, 100, window=window, compat=compat)
    batched.reset([0, 40])
    full = 0
    while not batched.look.over.all():
        for b in range(2):
            waiting = batched.machines.waiting(b) + batched.machines.state.env[b].first
            jobs = list(waiting)
            if len(jobs) > window:
                full += 1
                by_request = sorted(jobs, key=lambda j: (stream.request[j], stream.submit[j], j))
                by_width = sorted(jobs, key=lambda j: (stream.width[j], stream.submit[j], j))
                orders = (by_request, by_width) if compat else (jobs, by_request)
                turns = [j for both in zip(*orders, strict=True) for j in both]
                jobs = list(dict.fromkeys(turns))[:window]
            assert batched.job_numbers(b).tolist() == jobs
            np.testing.assert_allclose(
                batched.look.obs[b], plain_rows(batched, b, jobs, compat), atol=1e-6
            )
            allowed = np.arange(window) < max(len(jobs), 1)
            assert batched.look.mask[b].tolist() == allowed.tolist()
        batched.step(rng.integers(0, np.maximum(batched.look.rows, 1)))
    assert (full > 0) == (window == 8)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_scores_are_those_of_the_comparison(objective):
    stream, first = made(150, seed=4), np.array([0, 30])
    for compat in (None, "rlscheduler"):
        batched = Batched(stream, 2, 100, window=100, compat=compat, objective=objective)
        batched.reset(first)
        total = np.zeros(2)
        while not batched.look.over.all():
            batched.step(shortest(batched))
            total += batched.look.reward
        expected = figures(stream, "sjf", first, length=100, compat=compat, commit=True)[objective]
        np.testing.assert_allclose(batched.look.score, expected)
        sign = 1.0 if objective in ("utilization", "fairness") else -1.0
        np.testing.assert_allclose(total, sign * expected)


def test_actions_that_are_no_row_count_as_row_0_and_are_counted():
    stream = made()
    one, other = (Batched(stream, 1, 60) for _ in range(2))
    found = played(one, 5, lambda batched: [127])
    assert found.tolist() == played(other, 5, lambda batched: [0]).tolist()
    assert one.look.illegal[0] == 60
    assert other.look.illegal[0] == 0


def test_what_cannot_be_is_told():
    stream = made()
    for wrong in (
        {"length": 121},
        {"window": 0},
        {"objective": "speed"},
        {"overtaking": "all"},
        {"overtaking": "easy", "compat": "rlscheduler"},
        {"backfill": "some"},
    ):
        with pytest.raises(InputError, match=r"expected|semantics"):
            Batched(stream, 1, **{"length": 60} | wrong)
    with pytest.raises(InputError, match="cannot begin"):
        Batched(stream, 1, 60).reset(61)


def test_neither_gymnasium_nor_torch_is_imported_by_names():
    code = (
        "import sys, gridtwin.policy as p, gridtwin.policy.rl; p.names();"
        "print({'gymnasium', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
