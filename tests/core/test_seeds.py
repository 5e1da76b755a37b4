import numpy as np

from gridtwin.core.seeds import generator, spawn


def test_same_seed_same_numbers():
    assert generator(3).random() == generator(3).random() != generator(4).random()


def test_a_generator_is_passed_on():
    rng = np.random.default_rng(1)
    assert generator(rng) is rng


def test_spawned_streams_differ_and_do_not_depend_on_their_number():
    few, many = spawn(7, 2), spawn(7, 5)
    first = [rng.random() for rng in few]
    assert first == [rng.random() for rng in many][:2]
    assert first[0] != first[1]
