"""The weights against numbers worked out by hand from the formulas."""

import math

import numpy as np
import pytest

from gridtwin.core.seeds import generator
from gridtwin.policy.panda_brokerage import draw_of
from gridtwin.policy.panda_weights import (
    Counts,
    Panda,
    analysis_weights,
    generic_weights,
    network_factor,
    production_weights,
    queue_length_weights,
    task_weights,
)

A = np.array


def test_production_by_hand():
    counts = Counts(running=A([99.0, 49.0]), activated=A([30.0, 9.0]), assigned=A([10.0, 14.0]))
    found = production_weights(
        counts, total=100.0, local=A([100.0, 50.0]), files_to_move=A([0.0, 50.0])
    )
    # all local: 100 / 40; else 50 / (9 + 14 + 10) / min(15 / 10, 2)
    assert found.queue == pytest.approx([2.5, 50 / 33 / 1.5])
    # (100 + local) / 100 / (files / 100 + 1)
    assert found.data == pytest.approx([2.0, 1.5 / 1.5])
    assert found.weight == pytest.approx([5.0, 50 / 33 / 1.5])
    assert found.nucleus.tolist() == found.network.tolist() == [1.0, 1.0]


def test_the_assigned_share_is_kept_between_1_and_2():
    counts = Counts(running=A([9.0, 9.0]), activated=A([19.0, 0.0]), assigned=A([0.0, 10.0]))
    found = production_weights(counts, total=1.0, local=A([0.0, 0.0]))
    assert found.queue == pytest.approx([10 / 29, 10 / 20 / 2])


def test_running_counts_the_batch_system_and_the_slots():
    counts = Counts(
        running=A([5.0, 5.0, 30.0, 5.0, 5.0]),
        activated=np.zeros(5),
        assigned=np.zeros(5),
        starting=A([0.0, 0.0, 0.0, 0.0, 7.0]),
        batch=A([12.0, 80.0, 80.0, 0.0, 0.0]),
        slots=A([-1.0, -1.0, -1.0, 40.0, 0.0]),
    )
    found = production_weights(counts, total=0.0, local=np.zeros(5))
    assert found.running.tolist() == [12, 20, 30, 40, 12]
    assert found.data.tolist() == [1.0] * 5


def test_a_long_queue_leaves_a_site_out():
    counts = Counts(
        running=A([5.0, 5.0, 50.0]), activated=A([20.0, 21.0, 100.0]), assigned=A([0.0] * 3)
    )
    found = production_weights(counts, total=0.0, local=np.zeros(3))
    assert found.left_out.tolist() == [False, True, False]


def test_the_nucleus_and_its_link():
    rate = A([300.0, 150.0, 80.0, 60.0, 30.0, 15.0, 5.0, 1.5, 0.5, np.nan, 1.0]) * 1e6
    found = network_factor(rate, 30.0, nucleus=10)
    by_rate = [2, 1.9, 1.8, 1.6, 1.5, 1.3, 1.2, 1.1, 1.0, 1 + 3.3 / 11]
    assert found[:10] == pytest.approx([0.5 * (2 - 30 / 150) + 0.5 * w for w in by_rate])
    assert found[10] == 2.5
    assert network_factor(A([3e8, 0.0]), 900.0, nucleus=1).tolist() == [1.0, 2.5]
    none = Counts(A([9.0, 9.0]), A([0.0, 0.0]), A([0.0, 0.0]))
    rule = Panda(nucleus_weight=4.0)
    weight = production_weights(
        none, total=0.0, local=A([0.0, 0.0]), nucleus=1, network=A([1.5, 2.5]), rule=rule
    ).weight
    assert weight == pytest.approx([1.5, 10.0])


def test_task_by_hand():
    tera = 1e12
    given = {
        "total": 100.0,
        "local": A([50.0, 100.0, 100.0]),
        "free": A([10.0, 4000.0, 5.0]) * tera,
        "capacity": A([40.0, 8000.0, 50.0]) * tera,
    }
    work = A([100.0, 10.0, 49.0])
    found = task_weights(work, intensity=None, tape=A([False, False, True]), **given)
    # 1/100 x 0.5 x 10/40 x 10; 1 x 1 x 0.5 x 1000; 1 x 0.001 x 0.1 x 5
    assert found.weight == pytest.approx([0.0125, 500.0, 0.0005])
    light = task_weights(work, intensity=200.0, **given).weight
    assert light == pytest.approx([0.025, 500.0, 0.5])
    documents = task_weights(work, intensity=200.0, rule=Panda(work_always=True), **given).weight
    assert documents == pytest.approx([0.025, 10.0, 0.01])
    nowhere = A([math.inf])
    endless = task_weights(
        A([0.0]), total=0.0, local=A([0.0]), intensity=0.0, free=nowhere, capacity=nowhere
    )
    assert endless.weight == pytest.approx([1000.0])


def test_analysis_by_hand():
    counts = Counts(
        running=A([9.0, 9.0, 9.0, 9.0]),
        activated=A([2.0, 2.0, 21.0, 2.0]),
        assigned=A([1.0, 1.0, 1.0, 1.0]),
        starting=1.0,
        defined=1.0,
    )
    found = analysis_weights(
        counts,
        has_data=A([True, False, True, True]),
        bad=A([5.0, 0.0, 0.0, 6.0]),
        good=A([3.0, 0.0, 0.0, 3.0]),
    )
    assert found.weight == pytest.approx([10 / 6, 10 / 6, 10 / 25, 10 / 6])
    # data elsewhere; 23 wait, more than max(20, 18); 6 failed of 9
    assert found.left_out.tolist() == [False, True, True, True]
    assert analysis_weights(counts, has_data=np.ones(4, bool), bad=4.0).left_out.tolist() == [
        False,
        False,
        True,
        False,
    ]


def test_room_in_queues_by_hand():
    counts = Counts(running=A([100.0, 1000.0]), activated=A([5.0, 20.0]), assigned=A([0.0, 0.0]))
    # L = max(5, 0.05 R, 100 max(10/100, 1/20)) = 10; max(5, 50, 100 max(0, 1/20)) = 50
    found = queue_length_weights(
        counts, jobs=10.0, user_running=A([10.0, 0.0]), users=20.0, longest=100.0
    )
    # room 5 and 30: (room - 10 / 2) / (35 - 10)
    assert found == pytest.approx([0.0, 1.0])
    none = queue_length_weights(counts, jobs=40.0, user_running=0.0, users=20.0, longest=100.0)
    assert none.tolist() == [0.0, 0.0]


def test_generic_by_hand():
    counts = Counts(running=A([9.0, 4.0]), activated=A([3.0, 0.0]), assigned=A([1.0, 0.0]))
    assert generic_weights(counts).weight == pytest.approx([10 / 5 / 2, 5.0])


def test_the_draw_is_by_weight_among_the_best():
    counts = Counts(running=np.arange(12.0), activated=np.zeros(12), assigned=np.zeros(12))
    found = production_weights(counts, total=0.0, local=np.zeros(12))
    rng, every = generator(0), np.ones(12, bool)
    drawn = np.bincount(
        [draw_of(found, every, Panda(best=2), rng) for _ in range(4000)], minlength=12
    )
    assert drawn[:10].sum() == 0
    # weights 11 to 12
    assert drawn[10] / 4000 == pytest.approx(11 / 23, abs=4 * math.sqrt(0.25 / 4000))
    assert draw_of(found, ~every, Panda(), rng) is None


def test_sites_that_are_left_out_are_taken_if_there_are_no_others():
    counts = Counts(running=A([0.0, 0.0]), activated=A([50.0, 5.0]), assigned=A([0.0, 0.0]))
    found = production_weights(counts, total=0.0, local=np.zeros(2))
    rng = generator(1)
    assert {draw_of(found, A([True, True]), Panda(), rng) for _ in range(50)} == {1}
    assert draw_of(found, A([True, False]), Panda(), rng) == 0


def test_the_table_names_the_factors():
    counts = Counts(running=A([9.0]), activated=A([0.0]), assigned=A([0.0]))
    frame = production_weights(counts, total=0.0, local=A([0.0])).frame(["X"])
    assert frame.columns == [
        *("site", "running", "queue", "data", "nucleus", "network", "weight", "left_out")
    ]
    assert frame.row(0) == ("X", 9.0, 1.0, 1.0, 1.0, 1.0, 1.0, False)
