import math

import pytest

from gridtwin.core.executor import Executor


@pytest.mark.parametrize("executor", [Executor(), Executor("processes", workers=2)])
def test_results_come_in_item_order(executor):
    assert list(executor.map(math.factorial, range(7))) == [1, 1, 2, 6, 24, 120, 720]


@pytest.mark.parametrize("executor", [Executor(), Executor("processes", workers=2)])
def test_the_first_exception_is_raised(executor):
    results = executor.map(math.sqrt, [4.0, -1.0, 9.0])
    assert next(results) == 2.0
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        list(results)


def test_items_are_drawn_as_they_are_needed():
    drawn = []

    def items():
        for i in range(100):
            drawn.append(i)
            yield i

    results = Executor("processes", workers=2).map(abs, items())
    assert next(results) == 0
    assert len(drawn) <= 4
    results.close()
