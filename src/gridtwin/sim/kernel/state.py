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
    "CLASS",
    "CROSSING",
    "EVENT",
    "FIELDS",
    "JOB",
    "LINK",
    "NODE",
    "POOL",
    "REPLICA",
    "SITE",
    "SLOT",
    "TRANSFER",
    "WORLD",
    "State",
    "Table",
]

Table = Any  # a record array; numpy's types do not know fields

_I, _F = np.int64, np.float64

JOB = np.dtype(
    [
        ("submit", _F),
        ("cores", _I),
        ("memory", _F),  # bytes of the whole job; 0: not limited
        ("flop", _F),  # work of each core; NaN: `run` holds everywhere
        ("run", _F),  # s
        ("request", _F),  # s from the start on, then it is killed; inf: never
        ("priority", _F),  # higher is first
        ("output", _F),  # bytes written at the end
        ("output_file", _I),  # -1: the output is nobody's input
        ("user", _I),
        ("kind", _I),  # row of the failure tables
        ("site", _I),  # where it has to run; -1: as the broker says
        ("access", _I),  # how it reads its inputs: COPY or STREAM
        ("waits_for", _I),  # parents that have not finished
        ("attempts", _I),  # so far
        ("outcome", _I),  # of the last attempt
    ]
)
ATTEMPT = np.dtype(
    [
        ("job", _I),
        ("number", _I),  # 0 is the first
        ("site", _I),
        ("pool", _I),
        ("ready", _F),  # when the broker had it
        ("start", _F),  # when it got its cores
        ("staged", _F),  # when its last input was there
        ("computed", _F),  # when its payload ended
        ("end", _F),  # when it gave back its cores
        ("outcome", _I),
        ("code", _I),  # row of the failures' codes, -1: none
        ("next", _I),  # in the site's queue; the heap of a queue by priority uses both
        ("previous", _I),
        ("order", _I),  # by which equals stand in the queue
    ]
)
SLOT = np.dtype(  # a running attempt, and the one flow it may have
    [
        ("attempt", _I),  # -1: free, `next` is the next free one
        ("next", _I),
        ("phase", _I),
        ("stamp", _I),  # timers with another stamp are void
        ("flow_stamp", _I),  # the same for the start of a flow
        ("input", _I),  # the input that is read
        ("bytes", _F),  # still to be asked for of this input (streams)
        ("ready", _F),  # bytes that are there and not yet worked on (streams)
        ("reading", _F),  # bytes of the flow
        ("working", _F),  # bytes that the payload works on
        ("per_byte", _F),  # s of payload a byte (streams)
        ("worked", _F),  # bytes that the payload has done with (streams)
        ("fails", _F),  # bytes after which it fails (streams); inf: it does not
        ("begin", _F),  # when the flow was asked for
        ("source", _I),  # node of the flow
        ("replica", _I),  # that is read, -1: none is pinned
        ("class_", _I),  # of the flow, -1: none flows
        ("finish", _F),  # what `CLASS.served` will be when the flow ends
        ("left", _I),  # the heap of a class's flows
        ("right", _I),
        ("up", _I),
    ]
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
        ("value", _F),
        ("limit", _F),
        ("mark", _I),
        ("dirty", _I),
    ]
)
CROSSING = np.dtype(  # of a class and a link
    [
        ("link", _I),
        ("class_", _I),
        ("use", _F),  # of the link by a byte of the class
        ("next", _I),
        ("previous", _I),
    ]
)
LINK = np.dtype(
    [
        ("bandwidth", _F),
        ("wanted", _F),  # what all its flows would take if nothing else bound them
        ("flows", _I),
        ("active", _I),  # classes with flows
        ("head", _I),  # crossing
        ("mark", _I),
        ("dirty", _I),
        ("rest", _F),
        ("use", _F),
        ("open", _I),
    ]
)
REPLICA = np.dtype(
    [
        ("file", _I),
        ("node", _I),
        ("next", _I),  # of the file
        ("older", _I),  # in the cache
        ("newer", _I),
        ("pins", _I),
        ("cached", _I),  # whether it may be thrown away
    ]
)
EVENT = np.dtype([("time", _F), ("order", _I), ("kind", _I), ("id", _I), ("stamp", _I)])
TRANSFER = np.dtype(
    [
        ("attempt", _I),
        ("file", _I),
        ("kind", _I),
        ("source", _I),
        ("destination", _I),
        ("bytes", _F),
        ("start", _F),
        ("end", _F),
    ]
)
WORLD = np.dtype(  # one row
    [
        ("now", _F),
        ("arrived", _I),
        ("attempts", _I),
        ("transfers", _I),
        ("events", _I),  # so far
        ("order", _I),
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
    ]
)


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
    transfers: Table
    tree: NDArray[np.float64]
    """Next end of a flow by class: the least at 1, the leaves from the middle on."""
    load: NDArray[np.float64]
    """What the broker compares, by site."""
    touched: NDArray[np.int64]
    work: NDArray[np.int64]
    """Scratch: dirty classes, dirty links, a component's classes and its links, in quarters."""
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
    """Rows of (time, site, share of cores from then on)."""
    chance: NDArray[np.float64]
    """Of a failure, shape (sites, kinds)."""
    codes: NDArray[np.float64]
    """Running sums of the codes' shares, shape (kinds, codes)."""
    moment: NDArray[np.float64]
    """When a failure of a code comes: quantiles of the share of the payload, (codes, points)."""
    ends: NDArray[np.float64]
    """Backfilling: expected ends and widths of what runs, shape (slots, 2)."""
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
    "transfers": TRANSFER,
}
_WHOLE = ("touched", "work", "input_ptr", "input_file", "file_head", "child_ptr", "child", "users")
_RANKS = {
    "rank": 2,
    "outage": 2,
    "chance": 2,
    "codes": 2,
    "moment": 2,
    "ends": 2,
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
