"""Example traces that come with gridtwin: synthetic, seeded, made when asked for.

Each module has one function ``load(..., *, seed=...) -> JobTable`` with options of its own:
``lublin`` is a parallel machine, ``panda`` a grid.
"""

from typing import Any

from gridtwin.core.registry import Registry
from gridtwin.trace.table import JobTable

__all__ = ["load", "names"]

_examples = Registry("example", __name__, "gridtwin.examples", pick=lambda module: module.load)


def load(name: str, **options: Any) -> JobTable:  # noqa: ANN401 - each example has its own
    """Return the example trace of that name.

    Examples
    --------
    >>> jobs = load("lublin", n=100, seed=1)
    >>> len(jobs), jobs.provenance.machine_cores
    (100, 256)
    """
    table: JobTable = _examples.get(name)(**options)
    return table


def names() -> list[str]:
    """Return the names of all examples."""
    return _examples.names()
