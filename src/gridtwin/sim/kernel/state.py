"""The tables that the grid kernel works on: record arrays, one row is one thing.

Everything is allocated before the clock starts, as large as it can become. What is not written
takes no memory: the tables come from ``numpy.empty``, and the system gives pages when touched.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ATTEMPT",
    "CALLED",
    "CLASS",
    "COPY",
    "CROSSING",
    "EVENT",
    "FIELDS",
    "HERE",
    "JOB",
    "LINK",
    "MEET",
    "MEMBER",
    "NODE",
    "POOL",
    "QUEUED",
    "REPLICA",
    "SHARE",
    "SITE",
    "SLOT",
    "TRANSFER",
    "WINDOW",
    "WORLD",
    "State",
    "Table",
    "rows",
]

Table = Any  # a record array; numpy's types do not know fields

_S, _I, _F = np.int32, np.int64, np.float64

JOB = np.dtype(
    [
        ("cores", _S),
        ("memory", _F),  # bytes of the whole job; 0: not limited
        ("output", _F),  # bytes written at the end
        ("outcome", _S),  # of the last attempt; below 0: -1 - the attempt that runs or waits
        ("attempts", _S),  # so far
        ("request", _F),  # s from the start on, then it is killed; inf: never
        ("estimate", _F),  # s that backfilling and fair share expect; NaN: as it will take
        ("access", _S),  # how it reads its inputs: COPY or STREAM
        ("site", _S),  # where it has to run; -1: as the broker says
        ("submit", _F),
        ("waits_for", _S),  # parents that have not finished
        ("flop", _F),  # work of each core; NaN: `run` holds everywhere
        ("run", _F),  # s
        ("kind", _S),  # row of the failure tables
        ("user", _S),
        ("priority", _F),  # higher is first
        ("output_file", _S),  # -1: the output is nobody's input
        ("unused", _F, (2,)),  # a row is two cache lines; what changes is in the first
    ],
    align=True,
)
ATTEMPT = np.dtype(  # one cache line
    [
        ("job", _S),
        ("site", _S),
        ("pool", _S),
        ("number", np.uint8),  # 0 is the first
        ("outcome", np.uint8),
        ("code", np.int16),  # row of the failures' codes, -1: none
        ("ready", _F),  # when the broker had it
        ("start", _F),  # when it got its cores
        ("staged", _F),  # when its last input was there
        ("computed", _F),  # when its payload ended
        ("end", _F),  # when it gave back its cores
        ("next", _S),  # in the site's queue; the heap of a queue by priority uses both
        ("previous", _S),
    ],
    align=True,
)
SLOT = np.dtype(  # a running attempt, and the one flow it may have; the first cache line is hot
    [
        ("attempt", _S),  # -1: free, `next` is the next free one
        ("next", _S),
        ("phase", _S),
        ("stamp", _S),  # timers with another stamp are void
        ("flow_stamp", _S),  # the same for the start of a flow
        ("input", _S),  # the input that is read
        ("class_", _S),  # of the flow, -1: none flows
        ("replica", _S),  # that is read, -1: none is pinned
        ("finish", _F),  # what `CLASS.served` will be when the flow ends
        ("left", _S),  # the heap of a class's flows
        ("right", _S),
        ("up", _S),
        ("job", _S),  # of the attempt
        ("reading", _F),  # bytes of the flow
        ("begin", _F),  # when the flow was asked for
        ("source", _S),  # node of the flow
        ("bytes", _F),  # still to be asked for of this input (streams)
        ("ready", _F),  # bytes that are there and not yet worked on (streams)
        ("working", _F),  # bytes that the payload works on
        ("per_byte", _F),  # s of payload a byte (streams)
        ("worked", _F),  # bytes that the payload has done with (streams)
        ("fails", _F),  # bytes after which it fails (streams); inf: it does not
    ],
    align=True,
)
SITE = np.dtype(
    [
        ("cores", _I),
        ("first_pool", _I),
        ("last_pool", _I),  # one behind
        ("widest", _I),  # cores of the largest pool
        ("order", _I),
        ("backfill", _I),
        ("head", _I),
        ("tail", _I),
        ("coming", _I),  # sent there by the broker, not there yet
        ("queued", _I),
        ("running", _I),
        ("held", _I),  # cores of queued and running jobs
        ("waiting", _I),  # users with queued jobs (fair share)
        ("open", _F),  # share of the cores that may be used: 0 in an outage
        ("dispatch", _F),  # s from the broker's decision to the queue
        ("pilot", _F),  # s that the cores are held before the first input
        ("touched", _I),
        ("writes", _I),  # class of what its jobs write; NOWHERE: it takes no time
        ("ends", _I),  # first of its rows in `ends`
        ("finished", _I),  # attempts so far
        ("failed", _I),  # those that ended otherwise
    ]
)
POOL = np.dtype(
    [
        ("site", _I),
        ("cores", _I),
        ("free", _I),
        ("speed", _F),  # flop/s of a core; NaN: jobs run as recorded
        ("memory", _F),  # bytes of all hosts; inf: not limited
        ("memory_free", _F),
    ]
)
NODE = np.dtype(  # a site, or a place where only data are
    [
        ("capacity", _F),  # bytes
        ("used", _F),
        ("cache", _F),  # bytes for copies that may be thrown away
        ("cached", _F),
        ("oldest", _I),  # replica in the cache
        ("newest", _I),
    ]
)
CLASS = np.dtype(  # flows of one route share one rate
    [
        ("latency", _F),  # s before a flow begins
        ("penalty", _F),
        ("cap", _F),  # the most a flow can have, in units of the links
        ("pipe", _F),  # the most that all its flows can have
        ("first", _I),
        ("last", _I),
        ("flows", _I),
        ("root", _I),
        ("served", _F),  # bytes that a flow present all the time would have had
        ("at", _F),  # when `served` held
        ("rate", _F),
        ("mark", _I),
        ("dirty", _I),
    ]
)
CROSSING = np.dtype(  # of a class and a link
    [
        ("link", _S),
        ("class_", _S),
        ("use", _F),  # of the link by a byte of the class
        ("next", _S),
        ("previous", _S),
    ],
    align=True,
)
LINK = np.dtype(
    [
        ("bandwidth", _F),
        ("wanted", _F),  # what all its flows would take if it did not bind them
        ("flows", _I),
        ("active", _I),  # classes with flows
        ("head", _I),  # crossing
        ("mark", _I),
        ("dirty", _I),
        ("place", _I),  # in `meets`
    ]
)
MEMBER = np.dtype(  # scratch: a class of the component that is solved
    [
        ("class_", _S),
        ("first", _S),  # of its shares
        ("last", _S),  # one behind
        ("limit", _F),  # of its rate by itself
        ("penalty", _F),
        ("low", _F),  # the level of its limit; inf: settled
    ],
    align=True,
)
SHARE = np.dtype(  # scratch: what a member takes of a binding link
    [
        ("link", _S),
        ("member", _S),
        ("takes", _F),
        ("weight", _F),
        ("next", _S),  # of the link
    ],
    align=True,
)
MEET = np.dtype(  # scratch: a binding link of the component
    [
        ("rest", _F),
        ("use", _F),
        ("level", _F),  # to which it could raise all its members
        ("head", _I),  # share
    ]
)
REPLICA = np.dtype(
    [
        ("file", _S),
        ("node", _S),
        ("next", _S),  # of the file
        ("older", _S),  # in the cache
        ("newer", _S),
        ("pins", _S),
        ("cached", _S),  # whether it may be thrown away
        ("kept", _S),  # 1: it counts in the node's `used`; 2: it was not in `capacity`; 0: neither
    ],
    align=True,
)
EVENT = np.dtype([("time", _F), ("what", _I)])  # kind, id and stamp in one number
TRANSFER = np.dtype(
    [
        ("attempt", _S),
        ("file", _S),
        ("kind", _S),
        ("source", _S),
        ("destination", _S),
        ("bytes", _F),
        ("start", _F),
        ("end", _F),
    ],
    align=True,
)
COPY = np.dtype(  # a copy of a file that was ordered
    [
        ("file", _S),
        ("source", _S),
        ("node", _S),  # to which it goes
        ("bytes", _F),
        ("begin", _F),
        ("end", _F),  # NaN: it is not there yet
    ],
    align=True,
)
CALLED = np.dtype(  # of a site: who says which of its jobs is next
    [
        ("address", _I),  # 0: nobody
        ("window", _I),  # rows that are shown
        ("commits", _I),  # whether who was chosen stays first until it starts
        ("chosen", _I),  # the attempt that stays first, -1: none
        ("ranked", _I),  # whether the queue stands as it was ranked, not by arrival
        ("memory", _I),  # address of what the function keeps (`sim.policies.Policy.memory`)
    ]
)
HERE = np.dtype(  # one row: the site and the instant for which the next job is asked
    [
        ("now", _F),
        ("origin", _F),  # s: when the first job of all was submitted
        ("site", _I),
        ("size", _I),  # cores
        ("free", _I),  # cores that may be used now
        ("running", _I),  # jobs
        ("waiting", _I),  # jobs, those beyond the window too
        ("held", _I),  # cores of queued and running jobs
        ("memory", _I),  # address of what the policy keeps; 0: nothing
    ]
)
QUEUED = np.dtype(  # a waiting job
    [
        ("job", _I),
        ("attempt", _I),
        ("submit", _F),
        ("wait", _F),  # s in the queue and on the way to it
        ("request", _F),  # s; what backfilling expects: as asked for, else as it will take
        ("cores", _I),
        ("memory", _F),
        ("priority", _F),
        ("user", _I),
        ("kind", _I),
        ("score", _F),  # what a ranking writes
    ]
)
WINDOW = 4096
"""The most waiting jobs that are shown at once."""
WORLD = np.dtype(  # one row
    [
        ("now", _F),
        ("arrived", _I),
        ("attempts", _I),
        ("transfers", _I),
        ("events", _I),  # so far
        ("stamp", _I),
        ("free_slot", _I),
        ("slots", _I),  # ever used
        ("free_replica", _I),
        ("replicas", _I),
        ("touched", _I),
        ("dirty_classes", _I),
        ("dirty_links", _I),
        ("broker", _I),
        ("turn", _I),  # of the round-robin broker
        ("level", _I),  # 2: links are shared; 1: each class has its own
        ("closed", _I),  # sites in an outage
        ("seed", _I),
        ("most_attempts", _I),
        ("retry_delay", _F),
        ("elsewhere", _F),  # chance that a retry avoids the site that failed
        ("again", _F),  # chance that what failed for its own reasons fails again
        ("kill", _I),  # whether an outage kills what runs
        ("block", _F),  # bytes of a block of a stream
        ("prefetch", _I),
        ("half_life", _F),  # s after which use counts half (fair share)
        ("depth", _I),  # jobs behind the head that backfilling looks at
        ("log", _I),  # whether transfers are kept
        ("misled", _I),  # 1 + the site whose next job was named wrongly, by `turn`
        ("asking", _I),  # 1 + the job for which the broker's answer is awaited; 0: none is
        ("copies", _I),  # that were ordered
        ("copying", _I),  # those under way
        ("most_copying", _I),
    ]
)


def rows(count: int, dtype: np.dtype[Any]) -> Table:
    """Return an empty table whose rows begin with cache lines, as `numpy.empty`'s need not."""
    raw = np.empty(count * dtype.itemsize + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + count * dtype.itemsize].view(dtype)


@dataclass(frozen=True)
class State:
    """All that the kernel knows; it can stop at any instant and go on. Arrays are C-contiguous."""

    world: Table
    jobs: Table
    attempts: Table
    slots: Table
    sites: Table
    pools: Table
    nodes: Table
    classes: Table
    crossings: Table
    links: Table
    replicas: Table
    heap: Table
    soon: Table
    """As `heap`, for what comes after a latency: a few events, which need not go among the many."""
    transfers: Table
    copies: Table
    called: Table
    here: Table
    queue: Table
    """The waiting jobs that are shown."""
    lined: NDArray[np.int64]
    """Scratch: rows of `queue` in order."""
    tree: NDArray[np.float64]
    """Next end of a flow by class: the least at 1, the leaves from the middle on."""
    load: NDArray[np.float64]
    """What the broker compares, by site."""
    touched: NDArray[np.int64]
    work: NDArray[np.int64]
    """Scratch: dirty classes, then dirty links (later the heap of open ones), in halves."""
    members: Table
    shares: Table
    meets: Table
    route: NDArray[np.int32]
    """Class from a node to a site's node, -1: none; shape (nodes, nodes)."""
    rank: NDArray[np.float64]
    """How dear a source is, by node and site; shape (nodes, nodes)."""
    input_ptr: NDArray[np.int64]
    input_file: NDArray[np.int64]
    file_bytes: NDArray[np.float64]
    file_head: NDArray[np.int64]
    child_ptr: NDArray[np.int64]
    child: NDArray[np.int64]
    outage: NDArray[np.float64]
    """Rows of (time, site, share of cores from then on); the last is for what steers the run."""
    chance: NDArray[np.float64]
    """Of a failure, shape (sites, kinds)."""
    codes: NDArray[np.float64]
    """Running sums of the codes' shares, shape (kinds, codes)."""
    moment: NDArray[np.float64]
    """When a failure of a code comes: quantiles of the share of the payload, (codes, points)."""
    ends: NDArray[np.float64]
    """Backfilling: what runs, by site and expected end: end, cores, memory; shape (places, 3)."""
    profile: NDArray[np.float64]
    """Conservative backfilling: times, free cores and memory from then on; shape (times, 3)."""
    usage: NDArray[np.float64]
    """Fair share: core seconds by site and user, and when they held; (sites, users, 2)."""
    users: NDArray[np.int64]
    """Fair share: first and last queued attempt of a user, place of the user in the list of those
    that wait, and that list; (sites, users, 4)."""

    def __post_init__(self) -> None:
        words = np.zeros((len(FIELDS), 4), np.int64)
        for k, (name, (dtype, rank)) in enumerate(FIELDS.items()):
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != rank or not array.flags.c_contiguous:
                raise TypeError(
                    f"{name}: expected {rank}-d C-contiguous {dtype}, got {array.dtype}"
                )
            words[k, 0] = array.ctypes.data
            words[k, 1 : 1 + rank] = array.shape
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "address", int(words.ctypes.data))


_TABLES = {
    "world": WORLD,
    "jobs": JOB,
    "attempts": ATTEMPT,
    "slots": SLOT,
    "sites": SITE,
    "pools": POOL,
    "nodes": NODE,
    "classes": CLASS,
    "crossings": CROSSING,
    "links": LINK,
    "replicas": REPLICA,
    "heap": EVENT,
    "soon": EVENT,
    "transfers": TRANSFER,
    "copies": COPY,
    "called": CALLED,
    "here": HERE,
    "queue": QUEUED,
    "members": MEMBER,
    "shares": SHARE,
    "meets": MEET,
}
_WHOLE = (
    "lined",
    "touched",
    "work",
    "input_ptr",
    "input_file",
    "file_head",
    "child_ptr",
    "child",
    "users",
)
_RANKS = {
    "rank": 2,
    "outage": 2,
    "chance": 2,
    "codes": 2,
    "moment": 2,
    "ends": 2,
    "profile": 2,
    "usage": 3,
    "users": 3,
}

FIELDS = {
    f.name: (
        np.dtype(np.int32)
        if f.name == "route"
        else _TABLES.get(f.name, np.dtype(_I if f.name in _WHOLE else _F)),
        2 if f.name == "route" else _RANKS.get(f.name, 1),
    )
    for f in fields(State)
}
"""Each field's dtype and number of dimensions."""
