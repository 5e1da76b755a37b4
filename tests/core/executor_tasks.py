"""Functions that the tests of the executor hand to other processes, which import this file."""

import os
import signal
from pathlib import Path

import numpy as np

from gridtwin.core.errors import SchemaError
from gridtwin.core.executor import Shared


class OddError(Exception):
    """An error that cannot be handed over: it wants two arguments, and is made again of one."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def square(x):
    return x * x


def draw(seed):
    """Return numbers that another order of additions would change in the last digit."""
    return np.random.default_rng(seed).lognormal(size=1000).sum()


def refuse_three(x):
    if x == 3:
        raise SchemaError(f"no column {x}")
    return x


def odd(x):
    raise OddError(x, "this")


def die_once(mark):
    """End the process without a word the first time; `mark` is the file that tells."""
    mark = Path(mark)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return mark.name


def die(x):
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_two(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


class Counted:
    """An array that notes in a file each time it is made ready for another process."""

    def __init__(self, values, log):
        self.values, self.log = values, log

    def __getstate__(self):
        with Path(self.log).open("a") as file:
            file.write("x")
        return self.__dict__


def row_sum(shared: Shared, row):
    value = shared.get()
    return os.getpid(), float(value.values[row].sum())


def wait_for(mark):
    """Return once the file is there."""
    while not Path(mark).exists():
        pass
    return mark
