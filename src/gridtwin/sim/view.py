"""What a broker of the user's own sees, and how the kernel calls it."""

import ctypes
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from numba import cfunc, types
from numba.extending import intrinsic, is_jitted
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.sim.ended import Ended
from gridtwin.sim.kernel.codes import LATER, UNREACHABLE
from gridtwin.sim.kernel.network import EFFICIENCY, LATENCY
from gridtwin.sim.kernel.state import POOL, SITE, State

__all__ = ["ASKED", "Ask", "Told", "View", "caller", "pointer"]

ASKED = np.dtype(
    [
        ("submit", np.float64),
        ("cores", np.int64),
        ("memory", np.float64),
        ("request", np.float64),
        ("priority", np.float64),
        ("user", np.int64),
        ("kind", np.int64),
        ("input", np.float64),  # bytes
    ]
)
"""What is known of a job when it is submitted; compiled brokers get an array of these."""

_CALL = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
_STOP = -2


class View:
    """The grid and one job, when that is submitted: what may be known then, without copying.

    The arrays have one entry per site, in the platform's order, and are the kernel's own: read
    them, never write. The same view is given for every job; what is kept of it must be copied.
    """

    def __init__(self, state: State, names: Sequence[str], fields: dict[str, Any]) -> None:
        self.names = names
        """The sites' names."""
        self.job = -1
        """Number of the job, in order of submission."""
        self.load = _fixed(state.load)
        """Cores of queued and running jobs per core (1e18 more while closed, inf without cores)."""
        self.queued = _fixed(state.sites["queued"])
        """Jobs in the queue."""
        self.coming = _fixed(state.sites["coming"])
        """Jobs that were sent there and are not there yet."""
        self.running = _fixed(state.sites["running"])
        """Jobs that run."""
        self.held = _fixed(state.sites["held"])
        """Cores of queued and running jobs."""
        self.size = _fixed(state.sites["cores"])
        """Cores."""
        self.open = _fixed(state.sites["open"])
        """Share of the cores that may be used: 0 in an outage."""
        self.speed = _speed(state)
        """Mean speed of the cores, flop/s; NaN: jobs run as recorded."""
        self._state = state
        self._fields = fields
        self._ended = Ended(state)
        self._ways: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._memory = bool(np.isfinite(state.pools["memory"]).any())
        self._jobs = {name: memoryview(state.jobs[name]) for name in _SUBMITTED}
        self._free = _fixed(state.pools["free"])
        first = state.sites["first_pool"]
        self._one = len(state.pools) == len(first) and bool((first == np.arange(len(first))).all())
        self._index = {name: k for k, name in enumerate(names)}

    @property
    def now(self) -> float:
        """The time, s."""
        return float(self._state.world[0]["now"])

    @property
    def free(self) -> NDArray[np.int64]:
        """Free cores; a copy only where a site has no pool, or several."""
        if self._one:
            return self._free
        return np.bincount(self._state.pools["site"], self._free, len(self.names)).astype(np.int64)

    @property
    def submit(self) -> float:
        """When the job was submitted, s; a retry keeps that of the first attempt."""
        return self._jobs["submit"][self.job]

    @property
    def cores(self) -> int:
        """Cores that the job asks for."""
        return self._jobs["cores"][self.job]

    @property
    def memory(self) -> float:
        """Bytes that the job asks for; 0: not known."""
        return self._jobs["memory"][self.job]

    @property
    def request(self) -> float:
        """Seconds that the job asks for; inf: not known, or not kept to."""
        return self._jobs["request"][self.job]

    @property
    def priority(self) -> float:
        """Priority; higher is first."""
        return self._jobs["priority"][self.job]

    @property
    def user(self) -> int:
        """Number of the user."""
        return self._jobs["user"][self.job]

    @property
    def kind(self) -> int:
        """Number of the activity."""
        return self._jobs["kind"][self.job]

    @property
    def estimate(self) -> float:
        """Seconds that the job asked for, whether or not it is kept to them; NaN: not known."""
        return self._jobs["estimate"][self.job]

    @property
    def scales(self) -> bool:
        """Whether the job takes less on faster cores; else it runs as long everywhere."""
        return not math.isnan(self._jobs["flop"][self.job])

    @property
    def last(self) -> int:
        """The site of the attempt before this one; -1: there was none."""
        before = self._jobs["outcome"][self.job]
        return int(self._state.attempts[-1 - before]["site"]) if before < 0 else -1

    @property
    def attempt(self) -> int:
        """Attempts before this one."""
        return self._jobs["attempts"][self.job]

    @property
    def input_bytes(self) -> NDArray[np.float64]:
        """Sizes of the job's input files."""
        st = self._state
        return st.file_bytes[st.input_file[st.input_ptr[self.job] : st.input_ptr[self.job + 1]]]

    def local_bytes(self) -> NDArray[np.float64]:
        """Return how many bytes of the job's inputs each site has."""
        st, out = self._state, np.zeros(len(self.names))
        for file in st.input_file[st.input_ptr[self.job] : st.input_ptr[self.job + 1]]:
            replica, seen = st.file_head[file], set()
            while replica >= 0:
                node = int(st.replicas[replica]["node"])
                if node < len(out) and node not in seen:
                    out[node] += st.file_bytes[file]
                    seen.add(node)
                replica = st.replicas[replica]["next"]
        return out

    def fits(self) -> NDArray[np.bool_]:
        """Return at which sites a pool is wide enough for the job, and has memory enough."""
        st, cores, memory = self._state, self.cores, self.memory
        if not self._memory or memory <= 0.0:
            return np.asarray(st.sites["widest"] >= cores)
        good = (st.pools["cores"] >= cores) & (st.pools["memory"] >= memory)
        out = np.zeros(len(self.names), bool)
        out[st.pools["site"][good]] = True
        return np.asarray(out & (st.sites["widest"] >= cores))

    def fetch_seconds(self) -> NDArray[np.float64]:
        """Return how long the job's inputs would take to each site, s, if nothing else was moved.

        One after another, each from the replica that would be soonest there: 0 for those that a
        site has or that take no time, inf where no route leads from a replica.
        """
        st, out = self._state, np.zeros(len(self.names))
        for file in st.input_file[st.input_ptr[self.job] : st.input_ptr[self.job + 1]]:
            replica, soonest = st.file_head[file], np.full(len(out), np.inf)
            while replica >= 0:
                wait, per_byte = self.way(int(st.replicas[replica]["node"]))
                np.minimum(soonest, wait + per_byte * st.file_bytes[file], out=soonest)
                replica = st.replicas[replica]["next"]
            out += soonest
        return out

    def way(self, node: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the seconds before a transfer from a node flows to each site, and s a byte then.

        Of a transfer alone on its way. Nodes are sites, then places where only data are.
        """
        if node not in self._ways:
            st, n = self._state, len(self.names)
            wait, per_byte = np.zeros(n), np.zeros(n)
            by = st.route[node, :n]
            wait[by == UNREACHABLE] = np.inf
            flows = by >= 0
            wait[flows] = LATENCY * st.classes["latency"][by[flows]]
            per_byte[flows] = 1.0 / np.maximum(EFFICIENCY * st.classes["cap"][by[flows]], 1e-9)
            self._ways[node] = (wait, per_byte)
        return self._ways[node]

    def storage(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the bytes free for files that stay at each site, and all such; inf: no limit."""
        nodes = self._state.nodes[: len(self.names)]
        return nodes["capacity"] - nodes["used"], nodes["capacity"]

    def ended(self) -> NDArray[Any]:
        """Return the attempts that ended since this was called last: `gridtwin.sim.ended.ENDED`.

        Local jobs' too. How an attempt ends is told when it has, not before.
        """
        return self._ended.look()

    def has_field(self, name: str) -> bool:
        """Return whether the records have a field that is known at submission."""
        return name in self._fields

    def field(self, name: str) -> Any:  # noqa: ANN401 - any value of a record
        """Return a field of the job's record that is known when it is submitted."""
        if name not in self._fields:
            raise InputError(
                f"a broker cannot see {name!r}; known at submission are {', '.join(self._fields)}"
            )
        return self._fields[name][self.job]

    def place(self, answer: object) -> int:
        """Return the index of an answer, a site's number or name; -1 for None, -2 for no answer."""
        if answer is None:
            return -1
        if isinstance(answer, str):
            return self._index.get(answer, _STOP)
        try:
            found = operator.index(answer)  # type: ignore[arg-type]
        except TypeError:
            return _STOP
        return found if 0 <= found < len(self.names) else _STOP


_SUBMITTED = (
    *("submit", "cores", "memory", "request", "estimate", "priority", "user", "kind"),
    *("attempts", "outcome", "flop"),
)


class Told:
    """A broker that is told its answers: `Simulation.until` stops as ``asked`` until it is."""

    def __init__(self) -> None:
        self.view: View | None = None
        """What there is to see of the job that waits for an answer."""
        self.answer: object = LATER

    def __call__(self, view: View) -> object:
        """Give the answer that was told, once."""
        self.view, answer, self.answer = view, self.answer, LATER
        return answer


class Ask:
    """A broker as the kernel calls it: a pointer, the view, and what went wrong."""

    def __init__(self, view: View | None, pointer: Any, kept: Any = None) -> None:  # noqa: ANN401
        self.view = view
        self.pointer = pointer
        self.kept = kept
        """What the pointer needs while it is used."""
        self.error: BaseException | None = None
        self.answer: object = None
        """What was answered and is no site."""


def caller(
    broker: Callable[..., Any] | None,
    state: State,
    names: Sequence[str],
    fields: dict[str, Any],
) -> Ask:
    """Return what the kernel calls for each job that a broker of the user's own decides on.

    A function compiled by numba is called as ``broker(job, jobs, sites, pools)``: the job's number,
    an array of `ASKED`, and the kernel's arrays of sites and pools; it returns an index or -1. Any
    other callable gets a `View` and returns a site's index or name, or None for no site. What it
    raises stops the kernel and is kept in `Ask.error`. One who answers `codes.LATER` is asked
    again when the kernel goes on: see `Told`.
    """
    if broker is None:
        return Ask(None, _CALL(lambda job: _STOP))
    if is_jitted(broker):
        return Ask(None, *_compiled(broker, state))
    view = View(state, names, fields)
    ask = Ask(view, None)
    last = len(names) - 1

    def call(job: int) -> int:
        view.job = job
        try:
            answer = broker(view)
            if answer.__class__ is int and (0 <= answer <= last or answer == LATER):
                return answer
            place = view.place(answer)
        except BaseException as error:  # raised again when the kernel has stopped
            ask.error = error
            return _STOP
        if place == _STOP:
            ask.answer = answer
        return place

    ask.pointer = _CALL(call)
    return ask


@intrinsic
def _point(typing_context: Any, address: Any) -> Any:  # noqa: ANN401 - numba is untyped
    """Turn an address into a pointer."""

    def make(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(address), make


pointer: Any = _point
"""``pointer(address)``, in compiled code: what `numba.carray` takes."""


def _compiled(broker: Callable[..., Any], state: State) -> tuple[Any, Any]:
    """Compile a broker for the arrays of a state, anew for each; return it and what it needs."""
    asked = np.zeros(len(state.jobs), ASKED)
    for name in ("submit", "cores", "memory", "request", "priority", "user", "kind"):
        asked[name] = state.jobs[name]
    if len(state.input_file):
        sizes = np.concatenate([[0.0], np.cumsum(state.file_bytes[state.input_file])])
        asked["input"] = np.diff(sizes[state.input_ptr])
    jobs_at, sites_at, pools_at = (a.ctypes.data for a in (asked, state.sites, state.pools))
    n_jobs, n_sites, n_pools = len(asked), len(state.sites), len(state.pools)
    view: Any = numba.carray  # type: ignore[attr-defined]
    at: Any = pointer

    def ask(job: int) -> int:
        jobs = view(at(jobs_at), n_jobs, ASKED)
        sites = view(at(sites_at), n_sites, SITE)
        pools = view(at(pools_at), n_pools, POOL)
        return broker(job, jobs, sites, pools)  # type: ignore[no-any-return]

    made = cfunc(types.int64(types.int64))(ask)
    return made.ctypes, (made, asked)


def _speed(state: State) -> NDArray[np.float64]:
    """Return the mean speed of each site's cores."""
    pools, n = state.pools, len(state.sites)
    cores = np.bincount(pools["site"], pools["cores"], n)
    total = np.bincount(pools["site"], pools["cores"] * pools["speed"], n)
    mean = np.full(n, np.nan)
    np.divide(total, cores, out=mean, where=cores > 0)
    return mean


def _fixed(values: NDArray[Any]) -> NDArray[Any]:
    """Return a view that cannot be written to."""
    view = values.view()
    view.flags.writeable = False
    return view
