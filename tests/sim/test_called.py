"""Queueing policies that are called at each instant: scores that move, and functions of a user."""

import numpy as np
import polars as pl
import pytest
from numba import njit
from polars.testing import assert_frame_equal

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.run import start_times
from gridtwin.policy.batch.stream import from_table
from gridtwin.policy.queueing import find
from gridtwin.policy.rl.batched import Batched
from gridtwin.sim import Platform, Policy, Pool, Simulation, Site, simulate, steer
from gridtwin.sim.assemble import Rules
from gridtwin.sim.demand import demand
from gridtwin.sim.faults import Faults
from gridtwin.sim.kernel.codes import Ordering
from gridtwin.sim.outages import Outage
from gridtwin.sim.waiting import ranking

ONE = Platform((Site.of("A", 4),))
FOUR = [(0.0, 4, 10.0), (1.0, 1, 30.0), (2.0, 4, 20.0), (3.0, 2, 10.0)]


@pytest.fixture(scope="module")
def crowded():
    """Return jobs that queue, many of which come at one instant."""
    from gridtwin.trace import examples

    jobs = examples.load("lublin", n=600, seed=3, load=1.1)
    frame = jobs.collect()
    return jobs.with_frame(
        frame.with_columns(submit_time=(pl.col("submit_time") / 900).floor() * 900)
    )


def starts(jobs, policy, **options):
    result = simulate(jobs, cores=256, policy=policy, **options)
    assert result.kernel == "grid"
    return result.jobs.collect()["start_time"].to_numpy()


@pytest.mark.parametrize("backfill", ["none", "easy", "conservative"])
@pytest.mark.parametrize("name", ["wfp3", "unicep", "sexp", "lexp"])
def test_scores_that_move_are_served_as_by_the_batch_machine(crowded, name, backfill):
    stream = from_table(crowded, cores=256)
    expected = start_times(stream, name, backfill=backfill)[0]
    assert (expected > stream.submit).mean() > 0.4
    policy = name if backfill == "none" else f"{name}+{backfill}"
    np.testing.assert_array_equal(starts(crowded, policy), expected)


@pytest.mark.parametrize("backfill", ["none", "easy", "conservative"])
@pytest.mark.parametrize("name", ["wfp3", "sjf"])
def test_who_was_named_stays_first_as_on_the_batch_machine(crowded, name, backfill):
    stream = from_table(crowded, cores=256)
    expected = start_times(stream, name, backfill=backfill, commit=True)[0]
    choose = ranking(find(name).score)
    policy = Policy(name, "called", backfill, choose=choose, window=4096, commits=True)
    np.testing.assert_array_equal(starts(crowded, policy), expected)


@njit
def shortest(here, queue):
    best = 0
    for k in range(1, len(queue)):
        if queue[k].request < queue[best].request:
            best = k
    return best


@njit
def short(here, queue):
    for k in range(len(queue)):
        queue[k].score = queue[k].request
    return -1


@pytest.mark.parametrize("backfill", ["none", "easy"])
def test_all_ways_to_say_who_is_next_are_one(crowded, backfill):
    def row(queue):
        return queue.request.argmin()

    def scores(queue):
        return queue.request

    stream = from_table(crowded, cores=256)
    chosen, ranked = (
        [starts(crowded, Policy("x", "called", backfill, choose=f, window=4096)) for f in pair]
        for pair in ((shortest, row), (short, scores))
    )
    expected = start_times(stream, "sjf", backfill=backfill)[0]
    for found in ranked:
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(*chosen)
    if backfill == "none":
        np.testing.assert_array_equal(chosen[0], expected)


WEIGHTS = np.array([0.9, -1.3, 0.4, 0.7, -0.2, 1.1, 0.1, 0.0])


@njit
def learnt(here, queue):
    """Name the best by the eight features of the environments (`gridtwin.policy.rl.batched`)."""
    best, most, x = 0, -np.inf, np.empty(8, np.float32)
    for k in range(len(queue)):
        wait, request = queue[k].wait, queue[k].request
        x[0] = wait / (wait + 3600.0)
        x[1] = min(np.log1p(request) / np.log1p(30 * 86400.0), 1.0)
        x[2] = queue[k].cores / here.size
        x[3] = wait / (wait + max(request, 1.0))
        x[4] = here.free / here.size
        x[5] = 1.0 if queue[k].cores <= here.free else 0.0
        x[6] = here.waiting / (here.waiting + 128.0)
        x[7] = 1.0
        total = 0.0
        for c in range(8):
            total += WEIGHTS[c] * x[c]
        if total > most:
            best, most = k, total
    return best


@pytest.mark.parametrize("backfill", ["none", "easy"])
def test_a_learnt_policy_does_what_it_does_in_its_environment(crowded, backfill):
    stream = from_table(crowded, cores=256).head(150)
    env = Batched(stream, 1, len(stream), backfill=backfill)
    env.reset([0])
    while not env.look.done[0]:
        rows = env.look.obs[0].astype(np.float64)
        total = sum(rows[:, c] * WEIGHTS[c] for c in range(8))
        total[env.look.mask[0] == 0] = -np.inf
        env.step([int(total.argmax())])
    policy = Policy("learnt", "called", backfill, choose=learnt, commits=True)
    frame = crowded.with_frame(crowded.collect()[stream.row])
    assert (env.starts(0) > stream.submit).mean() > 0.3
    np.testing.assert_array_equal(starts(frame, policy), env.starts(0))


def test_the_first_that_came_is_first_come_first_served(crowded):
    for backfill in ("none", "easy", "conservative"):
        policy = Policy("first", "called", backfill, choose=lambda queue: 0, window=1)
        plain = "fcfs" if backfill == "none" else backfill
        expected = starts(crowded, plain, faults=Faults(attempts=2))
        np.testing.assert_array_equal(starts(crowded, policy), expected)


def test_a_policy_sees_the_queue_as_it_is(records):
    seen = []
    shown = ("job", "submit", "wait", "request", "cores", "user", "priority")

    def latest(queue):
        seen.append(
            (
                *(queue.now, queue.site, queue.size, queue.free, queue.running, queue.waiting),
                *(getattr(queue, name).tolist() for name in shown),
                *(queue.field("user").to_list(), len(queue)),
            )
        )
        return len(queue) - 1

    columns = {"user": list("uvuw"), "priority": [1.0, 2.0, 3.0, 4.0]}
    jobs = records(*FOUR, walltime_req=[15.0, None, 25.0, 12.0], **columns)
    policy = Policy("latest", "called", choose=latest, window=2)
    result = simulate(jobs, platform=ONE, policy=policy)
    site = [row[:6] for row in seen]
    assert site == [
        (0, 0, 4, 4, 0, 1),
        (10, 0, 4, 4, 0, 3),
        (30, 0, 4, 4, 0, 2),
        (30, 0, 4, 2, 1, 1),
    ]
    assert seen[0][6:] == ([0], [0], [0], [15], [4], [0], [1], ["u"], 1)
    waits, asks = [9, 8], [30, 25]
    assert seen[1][6:] == ([1, 2], [1, 2], waits, asks, [1, 4], [1, 0], [2, 3], ["v", "u"], 2)
    waits, asks = [29, 27], [30, 12]
    assert seen[2][6:] == ([1, 3], [1, 3], waits, asks, [1, 2], [1, 2], [2, 4], ["v", "w"], 2)
    assert seen[3][6:] == ([1], [1], [29], [30], [1], [1], [2], ["v"], 1)
    assert result.jobs.collect()["start_time"].to_list() == [0, 30, 10, 30]
    assert result.policy == "latest"


def test_a_function_is_a_policy_of_its_name(records):
    def latest(queue):
        return len(queue) - 1

    result = simulate(records(*FOUR), platform=ONE, policy=latest)
    assert result.policy == "latest"
    assert result.jobs.collect()["start_time"].to_list() == [0, 40, 20, 10]


def test_who_stands_first_and_does_not_fit_goes_back_to_its_place(records):
    # at 10 the wide job is named, at 12 the first one: those between stand as they came
    def choose(queue):
        if queue.now < 12:
            return int(queue.cores.argmax())
        order.append(queue.job.tolist())
        return 0

    order = []
    jobs = records(
        (0.0, 2, 100.0), (1.0, 3, 9.0), (2.0, 3, 9.0), (3.0, 4, 9.0), (4.0, 3, 9.0), (12.0, 3, 9.0)
    )
    simulate(jobs, platform=ONE, policy=choose)
    assert order[0] == [1, 2, 3, 4, 5]


def test_what_a_policy_raises_comes_out_and_ends_the_run(records):
    def broken(queue):
        raise KeyError("lost")

    run = Simulation(ONE, demand(records(*FOUR), ONE), policy=broken)
    with pytest.raises(KeyError, match="lost"):
        run.until()
    with pytest.raises(InputError, match="start it again"):
        run.until()


@njit
def beyond(here, queue):
    return len(queue)


@njit
def below(here, queue):
    return -2


@pytest.mark.parametrize("answer", [1, -1, -2, None, "A", 0.5, [], [1.0, 2.0], 2**70])
def test_answers_that_name_nobody_are_refused(records, answer):
    with pytest.raises((InputError, TypeError), match=r"expected a row, 0 to 0|as an integer"):
        simulate(records(*FOUR), platform=ONE, policy=lambda queue: answer)


@pytest.mark.parametrize("choose", [beyond, below])
def test_compiled_answers_that_name_nobody_are_refused(records, choose):
    with pytest.raises(InputError, match=r"answered -?\d at 'A'; expected a row"):
        simulate(records(*FOUR), platform=ONE, policy=choose)


def test_scores_that_are_no_numbers_come_last(records):
    def odd(queue):
        return np.where(queue.job == 1, np.nan, -queue.job)

    result = simulate(records(*FOUR), platform=ONE, policy=odd)
    assert result.jobs.collect()["start_time"].to_list() == [0.0, 40.0, 20.0, 10.0]


def test_declarations_that_contradict_themselves_are_refused(records):
    with pytest.raises(InputError, match="go together"):
        Policy("x", "called")
    with pytest.raises(InputError, match="go together"):
        Policy("x", choose=shortest)
    with pytest.raises(InputError, match="window: expected 1 to 4096 waiting jobs, got 0"):
        Policy("x", "called", choose=shortest, window=0)
    with pytest.raises(InputError, match="give them as `policy`"):
        Simulation(ONE, demand(records(*FOUR), ONE), rules=Rules(order=Ordering.CALLED))
    with pytest.raises(InputError, match="cannot see 'run_time'"):
        simulate(records(*FOUR), platform=ONE, policy=lambda queue: queue.field("run_time"))
    with pytest.raises(ValueError, match="read-only"):
        simulate(records(*FOUR), platform=ONE, policy=lambda queue: queue.wait.sort() or 0)
    two = Platform((Site("A", (Pool(2), Pool(2))),))
    with pytest.raises(InputError, match="backfilling needs one pool"):
        simulate(records(*FOUR), platform=two, policy="wfp3+easy")


def test_sites_have_policies_of_their_own_called_or_not(jobs):
    platform = Platform((Site.of("A", 64), Site("B", (Pool(64), Pool(96)))))
    rules = {"A": "wfp3+easy", "B": shortest}
    faults = Faults(0.1, attempts=3, outages=(Outage("A", 1.0e9, 1.1e9),))
    frame = jobs.collect()
    jobs = jobs.with_frame(frame.with_columns(pl.col("submit_time") / 30))
    run = Simulation(platform, demand(jobs, platform), policy=rules, faults=faults)
    seen = []
    for time in jobs.collect()["submit_time"].gather_every(10):
        run.until(time)
        seen.append(run.look())
    assert pl.concat(seen)["busy_cores"].max() <= 160
    assert run.until() == "done"
    assert run.look()["queued"].sum() == 0
    whole = Simulation(platform, demand(jobs, platform), policy=rules, faults=faults)
    whole.until()
    for name in ("start", "end", "site"):
        made = [r.state.attempts[name][: r.state.world[0]["attempts"]] for r in (run, whole)]
        np.testing.assert_array_equal(*made)


@pytest.mark.parametrize("before", ["wfp3", "unicep+easy", "fcfs", "sjf"])
@pytest.mark.parametrize("after", ["wfp3+conservative", shortest, "fcfs", "sjf"])
def test_called_policies_are_switched_to_and_from(crowded, before, after):
    platform = Platform.single(256)
    submit = crowded.collect()["submit_time"]
    shut = Faults(outages=(Outage(platform.names[0], float(submit.min()), float(submit.median())),))
    run = Simulation(platform, demand(crowded, platform), policy=before, faults=shut)
    run.until(submit.median() - 1.0)
    steer.switch(run, after)
    run.until()
    expected = Simulation(platform, demand(crowded, platform), policy=after, faults=shut)
    expected.until()
    assert_frame_equal(run.look(), expected.look())
    made = [r.state.attempts["start"][: r.state.world[0]["attempts"]] for r in (run, expected)]
    np.testing.assert_array_equal(*made)
