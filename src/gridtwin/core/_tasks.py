"""What a task is in another process: its outcome, and values stored once for many."""

import mmap
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from gridtwin.core.errors import TaskError

__all__ = ["Failed", "attempt", "attempt_apart", "stored"]

ALIGN = 64
"""Bytes: arrays begin at multiples of it, as NumPy's own memory does on most machines."""


class _Traceback(Exception):  # noqa: N818 - only ever seen as the cause of an error
    """The traceback of the process in which an error arose."""

    def __str__(self) -> str:
        """Return the traceback on lines of its own."""
        return f"\n\n{self.args[0]}"


@dataclass(frozen=True)
class Failed:
    """The outcome of a task that raised an error."""

    error: Exception
    trace: str = ""
    """The traceback as text, where the error comes from another process."""

    def throw(self) -> NoReturn:
        """Raise the error."""
        if self.trace:
            raise self.error from _Traceback(self.trace)
        raise self.error


def attempt(fn: Callable[[Any], Any], item: Any) -> Any:  # noqa: ANN401 - any item and result
    """Return ``fn(item)``, or how it failed."""
    try:
        return fn(item)
    except Exception as error:
        return Failed(error)


def attempt_apart(fn: Callable[[Any], Any], item: Any) -> Any:  # noqa: ANN401
    """Do as `attempt` does, with an outcome that can be sent to another process."""
    out = attempt(fn, item)
    if not isinstance(out, Failed):
        return out
    error = out.error
    trace = "".join(traceback.format_exception(error))
    try:
        again = pickle.loads(pickle.dumps(error))
    except Exception:
        again = None
    if type(again) is not type(error):
        error = TaskError(f"a task failed with {type(error).__name__}: {error}")
    return Failed(error.with_traceback(None), trace)


@contextmanager
def stored(value: Any) -> Iterator[Callable[[], Any]]:  # noqa: ANN401
    """Write a value to a temporary file; give what loads it, in any process of this machine.

    Arrays are mapped from the file, copy-on-write, and so are shared by the processes.
    """
    with TemporaryDirectory(prefix="gridtwin-") as folder:
        path = Path(folder) / "value"
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        pieces = [memoryview(head), *(buffer.raw() for buffer in buffers)]
        spans = []
        with path.open("wb") as file:
            for piece in pieces:
                file.write(bytes(-file.tell() % ALIGN))
                spans.append((file.tell(), piece.nbytes))
                file.write(piece)
        yield partial(_load, str(path), tuple(spans))


@lru_cache(maxsize=4)
def _load(path: str, spans: tuple[tuple[int, int], ...]) -> Any:  # noqa: ANN401
    """Return the value; a process keeps the last few, each written under a name of its own."""
    with Path(path).open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    head, *buffers = (view[start : start + length] for start, length in spans)
    return pickle.loads(head, buffers=buffers)
