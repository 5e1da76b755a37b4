"""Backfilling of the grid kernel: EASY as the kernel for computing has it, conservative by hand."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import InputError
from gridtwin.sim.assemble import Rules, assemble
from gridtwin.sim.faults import NO_FAULTS, Faults
from gridtwin.sim.kernel import CHOOSE, run_jobs
from gridtwin.sim.kernel.codes import Backfilling, Ordering, Outcome
from gridtwin.sim.outages import Outage
from gridtwin.sim.platform import Platform, Pool, Site
from gridtwin.sim.workload import Workload

CASES = settings(max_examples=200, deadline=None)
# small whole numbers make ties of every kind frequent
JOB = st.tuples(
    st.integers(0, 25),  # submit
    st.integers(1, 5),  # width
    st.integers(0, 9),  # run
    st.integers(-4, 6),  # estimate - run
    st.integers(-1, 2),  # site
)
EASY, CONSERVATIVE = Rules(backfill=Backfilling.EASY), Rules(backfill=Backfilling.CONSERVATIVE)


def columns(jobs):
    submit, width, run, slack, site = np.array(sorted(jobs, key=lambda j: j[0]), dtype=np.int64).T
    return submit.astype(float), width, run.astype(float), np.maximum(run + slack, 0.0), site


def sites(*cores):
    return Platform(tuple(Site.of(f"s{k}", int(size)) for k, size in enumerate(cores)))


@CASES
@given(st.lists(JOB, min_size=1, max_size=60), st.lists(st.integers(5, 12), min_size=3, max_size=3))
def test_easy_is_that_of_the_kernel_for_computing(grid, jobs, cores):
    submit, width, run, estimate, site = columns(jobs)
    made = grid.work(submit, run, width, estimate=estimate, site=site)
    done = grid.run(sites(*cores), made, EASY)
    start, where = run_jobs(submit, width, run, estimate, site, np.array(cores), True)
    order = np.argsort(done.attempts["job"], kind="stable")
    assert np.array_equal(done.start[order], start)
    assert np.array_equal(done.site[order], where)


@pytest.mark.parametrize("seed", range(4))
def test_so_it_is_in_long_queues_and_with_times_that_are_no_whole_numbers(grid, seed):
    rng = np.random.default_rng(seed)
    n = 900
    width, run = rng.integers(1, 17, n), rng.lognormal(2, 1.5, n)
    estimate = run * rng.uniform(0.3, 4, n)
    submit = np.cumsum(rng.exponential(np.dot(run, width) / n / 16 / 1.2, n)) + 1.7e9
    made = grid.work(submit, run, width, estimate=estimate)
    done = grid.run(sites(16), made, EASY)
    start, _ = run_jobs(submit, width, run, estimate, np.full(n, CHOOSE), np.array([16]), True)
    assert np.array_equal(done.start, start)
    assert (start > submit).mean() > 0.3


@dataclass
class Machine:
    """Conservative backfilling, all planned anew at each event."""

    cores: int
    queue: list = field(default_factory=list)
    running: dict = field(default_factory=dict)

    def start(self, now, width, run, estimate, begun):
        """Start who is due now; a job past its estimate is expected to end any moment."""
        held = [(max(e, np.nextafter(now, np.inf)), width[j]) for j, (_, e) in self.running.items()]
        planned = []  # start, end, width
        left = []
        for job in self.queue:
            times = sorted({now, *(e for e, _ in held), *(e for _, e, _ in planned)})
            long = max(estimate[job], 0.0)

            def free(t, held=held, planned=planned):
                taken = sum(w for e, w in held if e > t)
                return self.cores - taken - sum(w for b, e, w in planned if b <= t < e)

            for begin in times:
                end = max(begin + long, np.nextafter(begin, np.inf))
                inside = [t for t in [*times, *(b for b, _, _ in planned)] if begin <= t < end]
                if all(free(t) >= width[job] for t in inside):
                    break
            planned.append((begin, end, width[job]))
            if begin == now:
                begun[job] = now
                self.running[job] = (now + run[job], now + estimate[job])
            else:
                left.append(job)
        self.queue = left


def conservative(submit, width, run, estimate, cores):
    machine, begun = Machine(cores), {}
    arrived = 0
    while arrived < len(submit) or machine.queue or machine.running:
        ends = [end for end, _ in machine.running.values()]
        now = min([*ends, *submit[arrived : arrived + 1]])
        machine.running = {j: v for j, v in machine.running.items() if v[0] > now}
        while arrived < len(submit) and submit[arrived] <= now:
            machine.queue.append(arrived)
            arrived += 1
        machine.start(now, width, run, estimate, begun)
    return [begun[j] for j in range(len(submit))]


@CASES
@given(st.lists(JOB, min_size=1, max_size=30), st.integers(5, 9))
def test_conservative_is_as_planned_by_hand(grid, jobs, cores):
    submit, width, run, estimate, _ = columns(jobs)
    run = np.maximum(run, 1)
    done = grid.run(sites(cores), grid.work(submit, run, width, estimate=estimate), CONSERVATIVE)
    by_hand = conservative(submit, width, run, estimate, cores)
    start = np.empty(len(submit))
    start[done.attempts["job"]] = done.start
    assert start.tolist() == by_hand


@CASES
@given(st.lists(JOB, min_size=1, max_size=40), st.sampled_from([EASY, CONSERVATIVE]))
def test_without_estimates_the_run_time_is_known(grid, jobs, rules):
    submit, width, run, _, _ = columns(jobs)
    known = grid.run(sites(6), grid.work(submit, run, width, estimate=run), rules)
    given_ = grid.run(sites(6), grid.work(submit, run, width), rules)
    assert np.array_equal(known.start, given_.start)


@CASES
@given(st.lists(JOB, min_size=1, max_size=40), st.sampled_from(list(Backfilling)))
def test_cores_are_never_oversubscribed_in_an_outage_of_part_of_a_site(grid, jobs, backfill):
    submit, width, run, estimate, _ = columns(jobs)
    faults = Faults(outages=(Outage("s0", 5.0, 20.0, 0.5),))
    made = grid.work(submit, run, width, estimate=estimate)
    done = grid.run(sites(8), made, Rules(backfill=backfill), faults)
    for at in done.start[(done.start >= 5) & (done.start < 20)]:
        inside = (done.start <= at) & (done.end > at)
        begun = inside & (done.start == at)
        if jobs and begun.any():
            assert width[done.attempts["job"]][inside].sum() <= 4
    assert (done.jobs["outcome"] == Outcome.FINISHED).all()


@CASES
@given(st.lists(JOB, min_size=1, max_size=40), st.sampled_from([EASY, CONSERVATIVE]))
def test_backfilling_that_looks_at_nobody_is_none(grid, jobs, rules):
    submit, width, run, estimate, _ = columns(jobs)
    made = grid.work(submit, run, width, estimate=estimate)
    none = grid.run(sites(6), made)
    blind = grid.run(sites(6), made, Rules(backfill=rules.backfill, depth=0))
    assert np.array_equal(none.start, blind.start)


def test_backfilling_refuses_what_it_cannot_do():
    jobs = Workload(np.zeros(0), np.zeros(0, np.int64), np.zeros(0))
    two = Platform((Site("s", (Pool(1), Pool(2))),))
    with pytest.raises(InputError, match="one pool"):
        assemble(two, jobs, EASY, NO_FAULTS, 0)
    with pytest.raises(InputError, match="fcfs or priority"):
        assemble(
            sites(4),
            jobs,
            Rules(backfill=Backfilling.EASY, order=Ordering.FAIR_SHARE),
            NO_FAULTS,
            0,
        )


@pytest.mark.parametrize("rules", [EASY, CONSERVATIVE])
def test_who_waits_for_memory_is_not_passed_by_whoever_takes_it(grid, rules):
    """The first waits for memory until 100; a narrow job of 1000 s that takes memory would delay
    it, one that takes none does not."""
    platform = Platform((Site("s", (Pool(10, memory=10.0),)),))
    made = grid.work(
        [0.0, 1.0, 2.0, 3.0], [100.0, 10.0, 1000.0, 1000.0], memory=[8.0, 9.0, 2.0, 0.0]
    )
    done = grid.run(platform, made, rules)
    start = dict(zip(done.attempts["job"].tolist(), done.start.tolist(), strict=True))
    assert start[1] == 100.0
    assert start[2] == 110.0
    assert start[3] == 3.0
