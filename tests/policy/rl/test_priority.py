"""Learnt priorities on the batch machine."""

import numpy as np
import pytest

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.run import start_times
from gridtwin.policy.batch.stream import Stream
from gridtwin.policy.rl.features import FEATURES, static_features
from gridtwin.policy.rl.priority import Searched


def made(n=300, *, seed=0, cores=16):
    rng = np.random.default_rng(seed)
    need = rng.choice([1, 2, 4, 16], n, p=[0.5, 0.25, 0.2, 0.05])
    run = np.ceil(rng.lognormal(5.0, 1.5, n))
    return Stream(
        submit=np.cumsum(np.round(rng.exponential(100.0, n))),
        need=need,
        width=need,
        run=run,
        request=np.ceil(run * rng.uniform(1.0, 4.0, n) / 200) * 200,
        user=rng.integers(0, 4, n),
        cores=cores,
        row=np.arange(n),
    )


def weights(machine, **named):
    row = np.zeros(machine.weights)
    for name, value in named.items():
        row[FEATURES.index(name)] = value
    return row


HEURISTICS = {
    "fcfs": {"wait": -1.0},
    "sjf": {"request": 1.0},
    "smallest": {"width": 1.0},
    "f1": {"f1": 16.0, "log_submit": 870.0},
    "f3": {"f3": 16.0, "log_submit": 6860000.0},
}


@pytest.mark.parametrize("backfill", ["none", "easy", "conservative"])
@pytest.mark.parametrize("name", HEURISTICS)
def test_heuristics_are_among_the_priorities(name, backfill):
    stream, first = made(), np.array([0, 57, 100])
    machine = Searched(stream, 200, backfill=backfill)
    row = weights(machine, **HEURISTICS[name])
    known = start_times(stream, name, first=first, length=200, backfill=backfill)
    assert machine.start_times(row, first).tolist() == known.tolist()


def plain(stream, row, first, length):
    """No backfilling, in plain Python."""
    jobs = range(first, first + length)
    submit, need, run, request = stream.submit, stream.need, stream.run, stream.request
    static, month = static_features(stream), np.log1p(30 * 86400.0)
    start, running, waiting, ended = {}, [], [], {}

    def remember(j):
        user = (stream.user[j],)
        for key in (user, (*user, request[j], need[j])):
            ended.setdefault(key, []).append(j)

    for j in range(first):
        remember(j)
    ended = {key: past[-8:] for key, past in ended.items()}
    while len(start) < length:
        times = [submit[j] for j in jobs if j not in start and j not in waiting]
        now = min([start[j] + run[j] for j in running] + times)
        for j in sorted(
            (j for j in running if start[j] + run[j] <= now),
            key=lambda j: (start[j] + run[j], list(start).index(j)),
        ):
            running.remove(j)
            remember(j)
        waiting += [j for j in jobs if submit[j] <= now and j not in start and j not in waiting]
        while waiting:
            free = stream.cores - sum(need[j] for j in running)
            scores = []
            for j in waiting:
                wait, user = now - submit[j], (stream.user[j],)
                mine = ended.get(user, [])
                alike = ended.get((*user, request[j], need[j]), []) or mine
                fits, crowd = float(need[j] <= free), len(waiting) / (len(waiting) + 128)
                expected, accuracy = static[j, 0], 0.0
                if alike:
                    expected = min(expected, np.log1p(run[alike[-2:]]).mean() / month)
                if mine:
                    ratios = [np.log((run[i] + 1) / (request[i] + 1)) for i in mine]
                    accuracy = ratios[0]
                    for ratio in ratios[1:]:
                        accuracy = (accuracy + ratio) / 2
                moving = [
                    *(wait / (wait + 3600), wait / (wait + 86400), wait / (wait + request[j])),
                    *(wait / 86400, free / stream.cores, crowd, fits, fits * static[j, 0]),
                    *(fits * static[j, 2], crowd * static[j, 0], crowd * static[j, 2]),
                    *(expected, accuracy, fits * expected, expected, fits * expected),
                ]
                x = np.concatenate([static[j], moving])
                scores.append((row[: len(x)] @ x + net(row[len(x) :], x), j))
            j = min(scores)[1]
            if need[j] > free:
                break
            waiting.remove(j)
            start[j] = now
            running.append(j)
    return np.array([start[j] for j in jobs])


HIDDEN = 5


def net(row, x):
    if not len(row):
        return 0.0
    inner = row[: HIDDEN * len(x)].reshape(HIDDEN, -1) @ x
    inner = np.maximum(inner + row[HIDDEN * len(x) : HIDDEN * (len(x) + 1)], 0)
    return row[-HIDDEN - 1 : -1] @ inner + row[-1]


@pytest.mark.parametrize("sizes", [(), (len(FEATURES), HIDDEN, 1)])
def test_scores_are_those_of_the_plain_form(sizes):
    stream = made(120, seed=3)
    machine = Searched(stream, 70, sizes=sizes)
    rng = np.random.default_rng(5)
    first = np.array([11, 40])
    rows = rng.normal(size=(4, machine.weights)) / (1 + static_features(stream).std(0).max())
    found = machine.figures(rows, first)
    for c, row in enumerate(rows):
        start = machine.start_times(row, first)
        for s, begin in enumerate(first):
            expected = plain(stream, row, begin, 70)
            assert start[s].tolist() == expected.tolist()
            part = slice(begin, begin + 70)
            wait = expected - stream.submit[part]
            slow = np.maximum(1, (wait + stream.run[part]) / np.maximum(stream.run[part], 10))
            np.testing.assert_allclose(found[c, s], [slow.mean(), wait.mean()])


def test_what_cannot_be_is_told():
    stream = made()
    with pytest.raises(InputError, match="choose fewer"):
        Searched(stream, 301)
    with pytest.raises(InputError, match=r"expected 27, \.\.\., 1"):
        Searched(stream, 100, sizes=(8, 1))
    machine = Searched(stream, 100)
    with pytest.raises(InputError, match="cannot begin"):
        machine.figures(np.zeros(27), [201])
    with pytest.raises(InputError, match="expected 27"):
        machine.figures(np.zeros(26), [0])
    with pytest.raises(InputError, match="shape"):
        machine.start_times(np.zeros(26), [0])
