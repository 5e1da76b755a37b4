"""What a queueing policy that is called sees of a site's queue, and how the kernel calls it."""

import ctypes
import operator
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import cfunc, njit, types
from numba.extending import is_jitted
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.kernel.called import RANKED
from gridtwin.sim.kernel.state import HERE, QUEUED, State

__all__ = ["Namer", "Queue", "Score", "namer", "ranking"]

Score = Callable[[float, float, float, float], float]
"""``score(request, width, submit, wait)``: s, cores, s from the first job on, s; lower is first."""

_CALL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_WRONG = -2
_compile: Any = njit


class Queue:
    """A site and the jobs that wait there, as they stand: what may be known then, without copying.

    The arrays have one entry per waiting job of the window, in order of arrival (or, where the
    policy ranks, as it ranked them, later ones behind), and are the kernel's own: read them, never
    write. The same queue is given each time; what is kept of it must be copied.
    """

    def __init__(self, state: State, names: Sequence[str], fields: dict[str, Any]) -> None:
        self.names = names
        """The sites' names."""
        self.count = 0
        """Jobs that are shown."""
        self._here = state.here[0]
        rows = state.queue.view()
        rows.flags.writeable = False
        self._rows = rows
        self._fields = fields

    def __len__(self) -> int:
        return self.count

    @property
    def now(self) -> float:
        """The time, s."""
        return float(self._here["now"])

    @property
    def site(self) -> int:
        """Number of the site."""
        return int(self._here["site"])

    @property
    def size(self) -> int:
        """Cores of the site."""
        return int(self._here["size"])

    @property
    def free(self) -> int:
        """Cores that may be used now."""
        return int(self._here["free"])

    @property
    def running(self) -> int:
        """Jobs that run there."""
        return int(self._here["running"])

    @property
    def waiting(self) -> int:
        """Jobs that wait there, those that are not shown too."""
        return int(self._here["waiting"])

    @property
    def job(self) -> NDArray[np.int64]:
        """Numbers of the jobs, in order of submission."""
        return self._column("job")

    @property
    def submit(self) -> NDArray[np.float64]:
        """When the jobs were submitted, s; a retry keeps that of the first attempt."""
        return self._column("submit")

    @property
    def wait(self) -> NDArray[np.float64]:
        """How long they wait, s."""
        return self._column("wait")

    @property
    def request(self) -> NDArray[np.float64]:
        """Seconds that they asked for; as backfilling expects, the time it will take if none."""
        return self._column("request")

    @property
    def cores(self) -> NDArray[np.int64]:
        """Cores that they asked for."""
        return self._column("cores")

    @property
    def memory(self) -> NDArray[np.float64]:
        """Bytes that they asked for; 0: not known."""
        return self._column("memory")

    @property
    def priority(self) -> NDArray[np.float64]:
        """Priorities; higher is first."""
        return self._column("priority")

    @property
    def user(self) -> NDArray[np.int64]:
        """Numbers of the users."""
        return self._column("user")

    @property
    def kind(self) -> NDArray[np.int64]:
        """Numbers of the activities."""
        return self._column("kind")

    def field(self, name: str) -> Any:  # noqa: ANN401 - a column of records
        """Return a field of the jobs' records that is known when they are submitted."""
        if name not in self._fields:
            raise InputError(
                f"a policy cannot see {name!r}; known at submission are {', '.join(self._fields)}"
            )
        return self._fields[name].gather(self.job)

    def _column(self, name: str) -> NDArray[Any]:
        column: NDArray[Any] = self._rows[name][: self.count]
        return column


class Namer:
    """A queueing policy as the kernel calls it: where it is, and what went wrong."""

    def __init__(self, address: int, kept: Any) -> None:  # noqa: ANN401 - what is called
        self.address = address
        self.kept = kept
        """What lies at the address, while that is used."""
        self.error: BaseException | None = None


def namer(
    choose: Callable[..., Any], state: State, names: Sequence[str], fields: dict[str, Any]
) -> Namer:
    """Return what the kernel calls at each pass over a queue, again after each start.

    A function compiled by numba is called as ``choose(here, queue)``, a record of `HERE` and an
    array of `QUEUED`: it returns the row of the job that is next; or it writes all rows' ``score``,
    the lowest is next, and returns -1. Any other callable gets a `Queue` and returns a row, or an
    array of scores. What it raises stops the kernel and is kept in `Namer.error`.
    """
    if is_jitted(choose):
        made = _compiled(choose)
        return Namer(int(made.address), made)
    queue, scores = Queue(state, names, fields), state.queue["score"]
    found = Namer(0, None)

    def call(_: int, __: int, count: int) -> int:
        queue.count = count
        try:
            answer = choose(queue)
            if answer.__class__ is int:
                return answer if 0 <= answer < count else _wrong(found, choose, answer, count)
            if isinstance(answer, np.ndarray | list | tuple):
                if np.shape(answer) != (count,):
                    return _wrong(found, choose, answer, count)
                scores[:count] = answer
                return RANKED
            row = operator.index(answer)
        except BaseException as error:  # raised again when the kernel has stopped
            found.error = error
            return _WRONG
        return row if 0 <= row < count else _wrong(found, choose, answer, count)

    found.kept = _CALL(call)
    found.address = ctypes.cast(found.kept, ctypes.c_void_p).value or 0
    return found


def _wrong(found: Namer, choose: Callable[..., Any], answer: object, count: int) -> int:
    name = getattr(choose, "__name__", "called")
    found.error = InputError(
        f"policy {name!r} answered {answer!r}; expected a row, 0 to {count - 1}, or {count} scores"
    )
    return _WRONG


@cache
def _compiled(choose: Any) -> Any:  # noqa: ANN401 - numba is untyped
    view: Any = numba.carray  # type: ignore[attr-defined]

    def call(here: Any, queue: Any, count: int) -> int:  # noqa: ANN401
        return choose(view(here, 1, HERE)[0], view(queue, count, QUEUED))  # type: ignore[no-any-return]

    return cfunc(types.int64(types.voidptr, types.voidptr, types.int64))(call)


@cache
def ranking(score: Score) -> Callable[..., int]:
    """Return a policy of `namer` that ranks by a score, plain or of numba's, anew each time."""
    plain = getattr(score, "py_func", score)
    of: Any = _compile(plain, error_model="numpy")

    def rank(here: Any, queue: Any) -> int:  # noqa: ANN401 - numba's records
        for k in range(len(queue)):
            width, submit = float(queue[k].cores), queue[k].submit - here.origin
            queue[k].score = of(queue[k].request, width, submit, queue[k].wait)
        return RANKED

    rank.__name__ = plain.__name__
    ranked: Callable[..., int] = _compile(rank, error_model="numpy")
    return ranked
