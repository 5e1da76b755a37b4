"""Run a function over many items: here, in local processes, or on a Ray cluster.

Nothing else in the package knows which. What every kind keeps: results in item order, a bounded
number of items under way, and an error of the type that the task raised, with a note that says
which item it was and, from another process, the traceback there as its cause.
"""

import reprlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from gridtwin.core._tasks import Failed, attempt

__all__ = ["Executor", "Kind", "Shared"]

Item = TypeVar("Item")
Out = TypeVar("Out")
Value = TypeVar("Value")
Kind = Literal["serial", "processes", "ray"]

_short = reprlib.Repr()
_short.maxother = _short.maxstring = 160


class _Tasks(Protocol):
    @property
    def most(self) -> int:
        """Items handed out and not yet asked back."""

    def submit(self, item: Any) -> Any:  # noqa: ANN401 - any item, any handle
        """Hand out an item; give what `result` wants."""

    def result(self, item: Any, handle: Any) -> Any:  # noqa: ANN401
        """Return what the function gave, or how it failed."""


@dataclass(frozen=True)
class Shared(Generic[Value]):
    """A value handed over once and not with each task, which ask for it with `get`.

    Arrays from `get` are shared by the processes of a machine: do not write into them.
    """

    _load: Callable[[], Value]

    def get(self) -> Value:
        """Return the value."""
        return self._load()


@dataclass(frozen=True)
class Executor:
    """``map(fn, items)`` on this process, on local processes or on Ray.

    With ``processes`` and ``ray`` at most ``2 * workers`` items are under way or waiting to be
    handed out or back, so that a long iterable of large items stays bounded in memory. Functions
    and items must be picklable then. With ``with`` around several maps, a Ray cluster started for
    the first serves them all; without, each map starts and ends its own.
    """

    kind: Kind = "serial"
    workers: int = 0
    """Tasks at a time; 0 means one per core of this machine or of the Ray cluster."""
    retries: int = 2
    """How often a task is run again whose process was lost, as for want of memory."""
    address: str | None = None
    """A Ray cluster that runs already; by default that of RAY_ADDRESS, else one is started here."""

    def map(self, fn: Callable[[Item], Out], items: Iterable[Item]) -> Iterator[Out]:
        """Yield ``fn(item)`` for each item, in order; the first error is raised.

        Raises
        ------
        WorkerLostError
            The process that ran a task ended `retries` + 1 times.
        TaskError
            A task raised what cannot be handed over from its process.
        MissingExtraError
            The kind is ``ray``, and Ray is not installed.
        """
        with self._tasks(fn) as tasks:
            waiting: deque[tuple[int, Item, Any]] = deque()
            for number, item in enumerate(items):
                waiting.append((number, item, tasks.submit(item)))
                if len(waiting) >= tasks.most:
                    yield _result(tasks, fn, *waiting.popleft())
            while waiting:
                yield _result(tasks, fn, *waiting.popleft())

    @contextmanager
    def share(self, value: Value) -> Iterator[Shared[Value]]:
        """Give a handle whose `get` returns `value` in every task of a `map` inside the block.

        The value itself with ``serial``; with ``processes`` it is written once to a temporary
        file, from which arrays are mapped; with ``ray`` it is put once in the object store.
        """
        with self._store(value) as load:
            yield Shared(load)

    def __enter__(self) -> Self:
        """Start or join the Ray cluster, if that is the kind."""
        if self.kind == "ray":
            from gridtwin.core import _ray

            _ray.join(self.workers, self.address)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the Ray cluster; end it if it was started here."""
        if self.kind == "ray":
            from gridtwin.core import _ray

            _ray.leave()

    def _tasks(self, fn: Callable[[Any], Any]) -> AbstractContextManager[_Tasks]:
        if self.kind == "processes":
            from gridtwin.core._processes import processes

            return processes(fn, self.workers, self.retries)
        if self.kind == "ray":
            from gridtwin.core import _ray

            return _ray.tasks(fn, self.workers, self.retries, self.address)
        return nullcontext(_Here(fn))

    def _store(self, value: Value) -> AbstractContextManager[Callable[[], Value]]:
        if self.kind == "processes":
            from gridtwin.core._tasks import stored

            return stored(value)
        if self.kind == "ray":
            from gridtwin.core import _ray

            return _ray.put(value, self.workers, self.address)
        return nullcontext(lambda: value)


@dataclass(frozen=True)
class _Here:
    """Tasks of this process: each is run when its result is asked for."""

    fn: Callable[[Any], Any]
    most: int = 1

    def submit(self, item: Any) -> None:  # noqa: ANN401
        """Do nothing yet."""

    def result(self, item: Any, handle: None) -> Any:  # noqa: ANN401
        """Run the function."""
        return attempt(self.fn, item)


def _result(
    tasks: _Tasks,
    fn: Callable[[Item], Out],
    number: int,
    item: Item,
    handle: Any,  # noqa: ANN401
) -> Out:
    """Return a task's result; its error gets a note of which item it was."""
    try:
        out = tasks.result(item, handle)
        if isinstance(out, Failed):
            out.throw()
    except Exception as error:
        name = getattr(getattr(fn, "func", fn), "__qualname__", type(fn).__name__)
        error.add_note(f"in item {number} (the first is 0) of {name}: {_short.repr(item)}")
        raise
    return out  # type: ignore[no-any-return]
