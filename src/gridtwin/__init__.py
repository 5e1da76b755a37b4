"""gridtwin: a dynamic model of distributed computing, learnt from job records.

Public names are loaded when first used, so that ``import gridtwin`` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridtwin import metrics, models, policy, report, sim, trace
    from gridtwin.metrics import evaluate
    from gridtwin.sim import simulate
    from gridtwin.trace import JobTable, examples
    from gridtwin.trace.check import check
    from gridtwin.trace.readers import read
    from gridtwin.trace.sources import ingest
    from gridtwin.trace.writers import write

__all__ = [
    "JobTable",
    "__version__",
    "check",
    "evaluate",
    "examples",
    "ingest",
    "metrics",
    "models",
    "policy",
    "read",
    "report",
    "sim",
    "simulate",
    "trace",
    "write",
]

__version__ = "0.1.0"

_HOME = {
    "JobTable": "gridtwin.trace",
    "check": "gridtwin.trace.check",
    "evaluate": "gridtwin.metrics",
    "ingest": "gridtwin.trace.sources",
    "read": "gridtwin.trace.readers",
    "simulate": "gridtwin.sim",
    "write": "gridtwin.trace.writers",
}
"""Where the functions and classes are; the other public names are packages."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in __all__:
        package = "gridtwin.trace" if name == "examples" else "gridtwin"
        return import_module(f"{package}.{name}")
    raise AttributeError(f"module 'gridtwin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
