"""The errors gridtwin raises, in one tree.

GridtwinError
├── InputError (ValueError)        what the user gave cannot be used
│   ├── FormatError                a file is not what it should be
│   └── SchemaError                a table lacks a column, or a column has the wrong type
├── UnknownNameError (LookupError) no model, reader, metric or policy of that name
├── MissingExtraError (ImportError) an optional library is not installed
├── NotFittedError (RuntimeError)  a model was asked to sample before it was fitted
├── TrainingError (RuntimeError)   a training broke off
└── TaskError (RuntimeError)       a task failed with what its process could not hand over
    └── WorkerLostError            the process that ran a task ended

Every message says what was expected, what came and what to do.
"""

import difflib
from collections.abc import Iterable

__all__ = [
    "FormatError",
    "GridtwinError",
    "InputError",
    "MissingExtraError",
    "NotFittedError",
    "SchemaError",
    "TaskError",
    "TrainingError",
    "UnknownNameError",
    "WorkerLostError",
]


class GridtwinError(Exception):
    """Base of all errors that gridtwin raises on purpose."""


class InputError(GridtwinError, ValueError):
    """What the user gave cannot be used."""


class FormatError(InputError):
    """A file is empty, truncated, binary or not of the format asked for."""


class SchemaError(InputError):
    """A table lacks a column or a column has the wrong type."""


class UnknownNameError(GridtwinError, LookupError):
    """No model, reader, metric or policy of that name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")
        self._given = (kind, name, known)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle what was given, not the message: the error may come from another process."""
        return type(self), self._given


class MissingExtraError(GridtwinError, ImportError):
    """An optional library is not installed."""

    def __init__(self, what: str, library: str, extra: str) -> None:
        super().__init__(f"{what} needs {library}: pip install 'gridtwin[{extra}]'")
        self._given = (what, library, extra)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle what was given, not the message: the error may come from another process."""
        return type(self), self._given


class NotFittedError(GridtwinError, RuntimeError):
    """A model was asked to sample, save or describe itself before it was fitted."""


class TrainingError(GridtwinError, RuntimeError):
    """A training broke off: a loss was no number."""


class TaskError(GridtwinError, RuntimeError):
    """A task of an executor failed with what its process could not hand over."""


class WorkerLostError(TaskError):
    """The process that ran a task ended, and did so again when the task was run again."""

    def __init__(self, retries: int) -> None:
        again = f", also when it was run again {retries} times" if retries else ""
        super().__init__(
            f"the process that ran a task was ended from outside{again}, as for want of memory; "
            "try fewer workers"
        )
        self._given = (retries,)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle what was given, not the message: the error may come from another process."""
        return type(self), self._given
