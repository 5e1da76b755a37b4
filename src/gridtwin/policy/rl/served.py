"""Learnt policies on the grid kernel: those of a folder, as `simulate` takes them by name.

A score sees what it does on the batch machine: which jobs ended, and how long they ran, as soon as
they have, at the site. It keeps its own history there. A set transformer is called from Python.
"""

from typing import Any

import numba
import numpy as np
from numba import njit
from numpy.typing import NDArray

from gridtwin.policy.rl.features import (
    FEATURES,
    GROUP,
    HIDDEN,
    STATIC,
    Scores,
    count_ended,
    groups,
    score_of,
    static_row,
)
from gridtwin.policy.rl.saved import Learnt, splitting
from gridtwin.sim.kernel.called import RANKED
from gridtwin.sim.kernel.codes import Outcome
from gridtwin.sim.kernel.state import ATTEMPT, JOB, WINDOW, WORLD, State
from gridtwin.sim.policies import Backfill, Policy
from gridtwin.sim.view import pointer
from gridtwin.sim.waiting import Queue

__all__ = ["policy", "served"]

_S, _F = len(STATIC), len(FEATURES)
_FINISHED = int(Outcome.FINISHED)
_I, _D = np.dtype(np.int64), np.dtype(np.float64)
_compile: Any = njit
_view: Any = numba.carray  # type: ignore[attr-defined]
_at: Any = pointer

_ARRAYS = ("static", "linear", "sizes", "net", "foresight", "group", "history", "likely", "known")
_NAMES = (*_ARRAYS, "x", "hidden", "live", "over")
_WORDS = np.dtype(
    [
        *((name, _I) for name in ("world", "attempts", "jobs", "most", "count", "site")),
        *(
            (name, _I)
            for name in ("seen", "living", "rows", "layers", "weights", "expecting", "wide")
        ),
        *((name, _I) for name in _NAMES),
    ]
)
"""What is kept at a site: addresses of arrays, and their lengths."""


class _Memory(np.ndarray):  # type: ignore[type-arg]
    """One record of `_WORDS`, with the arrays that it points to."""

    kept: dict[str, NDArray[Any]]


def _memory(learnt: Learnt, state: State, site: int) -> _Memory:
    jobs, attempts = state.jobs, state.attempts
    n, most = len(jobs), len(attempts)
    request = np.where(np.isnan(jobs["estimate"]), jobs["run"], jobs["estimate"])
    user, cores = jobs["user"].astype(np.int64), jobs["cores"].astype(np.int64)
    group, _ = groups(user, request, cores)
    weights = learnt.arrays["weights"]
    sizes = np.array(learnt.sizes, np.int64)
    kept = {
        "static": np.zeros((n, _S)),
        "linear": weights[:_F].copy(),
        "sizes": sizes,
        "net": weights[_F:].copy(),
        "foresight": np.array(learnt.arrays.get("foresight", ()), np.float64),
        "group": np.ascontiguousarray(group),
        "history": np.zeros((int(group.max(initial=0)) + 1, GROUP)),
        "likely": np.zeros(n),
        "known": np.full(n, -2.0),
        "x": np.zeros(_F),
        "hidden": np.zeros((2, max(HIDDEN, int(sizes.max(initial=1))))),
        "live": np.zeros(most, np.int64),
        "over": np.zeros(most, np.int64),
    }
    memory = np.zeros(1, _WORDS).view(_Memory)
    memory.kept = kept
    for name, array in kept.items():
        memory[name] = array.ctypes.data
    for name in ("world", "attempts", "jobs"):
        memory[name] = getattr(state, name).ctypes.data
    counts = {"most": most, "count": n, "site": site, "rows": len(kept["history"])}
    counts |= {"layers": len(sizes), "weights": len(kept["net"])}
    for name, value in counts.items():
        memory[name] = value
    memory["expecting"], memory["wide"] = len(kept["foresight"]), kept["hidden"].shape[1]
    return memory


def _remember(m: Any, sc: Any, attempts: Any, jobs: Any) -> None:  # noqa: ANN401 - numba's records
    """Count the attempts that ended since the last call, in order of their ends."""
    live, over = _view(_at(m.live), m.most, _I), _view(_at(m.over), m.most, _I)
    made, ended, left = _view(_at(m.world), 1, WORLD)[0].attempts, 0, 0
    for a in range(m.seen, made):
        live[m.living] = a
        m.living += 1
    m.seen = made
    for p in range(m.living):
        a = live[p]
        end = attempts[a].end
        if end != end:
            live[left] = a
            left += 1
        elif attempts[a].site == m.site and attempts[a].outcome == _FINISHED:
            q = ended
            while q > 0:
                b = over[q - 1]
                late = attempts[b].end > end
                if not (late or (attempts[b].end == end and attempts[b].start > attempts[a].start)):
                    break
                over[q] = b
                q -= 1
            over[q] = a
            ended += 1
    m.living = left
    for p in range(ended):
        a = over[p]
        j = attempts[a].job
        asked = jobs[j].estimate if jobs[j].estimate == jobs[j].estimate else jobs[j].run
        for side in range(2):
            row = sc.group[j, side]
            count_ended(sc.history, row, attempts[a].end - attempts[a].start, max(asked, 0.0))


_remembered: Any = _compile(_remember, error_model="numpy")


@_compile(error_model="numpy")
def rank(here: Any, queue: Any) -> int:  # noqa: ANN401 - numba's records
    """Write all scores, as `gridtwin.policy.rl.priority.Searched` makes them."""
    m = _view(_at(here.memory), 1, _WORDS)[0]
    attempts, jobs = _view(_at(m.attempts), m.most, ATTEMPT), _view(_at(m.jobs), m.count, JOB)
    sc = Scores(
        _view(_at(m.static), (m.count, _S), _D),
        _view(_at(m.linear), _F, _D),
        _view(_at(m.sizes), m.layers, _I),
        _view(_at(m.net), m.weights, _D),
        _view(_at(m.foresight), m.expecting, _D),
        _view(_at(m.group), (m.count, 2), _I),
        _view(_at(m.history), (m.rows, GROUP), _D),
        _view(_at(m.likely), m.count, _D),
        _view(_at(m.known), m.count, _D),
        _view(_at(m.x), _F, _D),
        _view(_at(m.hidden), (2, m.wide), _D),
    )
    _remembered(m, sc, attempts, jobs)
    size, free = float(max(here.size, 1)), here.free / here.size
    for k in range(len(queue)):
        j, width = queue[k].job, float(queue[k].cores)
        asked = max(queue[k].request, 0.0)
        if sc.known[j] == -2.0:
            age = queue[k].submit - here.origin
            static_row(sc.static[j], asked, width, queue[k].cores / here.size, age, size)
            sc.known[j] = -1.0
        base = 0.0
        for c in range(_S):
            base += sc.linear[c] * sc.static[j, c]
        fits, wait = 1.0 if queue[k].cores <= here.free else 0.0, max(queue[k].wait, 0.0)
        queue[k].score = score_of(sc, j, j, base, wait, asked, fits, free, here.waiting)
    return RANKED


def served(learnt: Learnt, name: str, backfill: Backfill = "none") -> Policy:
    """Return a learnt policy as the grid kernel calls it.

    A score ranks up to 4,096 waiting jobs, as often as the kernel asks. Notes: memory, at each
    site, 8 (S + 4) bytes for each job that came there and 16 for each attempt.
    """
    if learnt.form == "priority":
        return Policy(
            name,
            "called",
            backfill,
            choose=rank,
            window=WINDOW,
            memory=lambda state, site: _memory(learnt, state, site),
        )
    return Policy(name, "called", backfill, choose=_set(learnt), commits=True)


def _set(learnt: Learnt) -> Any:  # noqa: ANN401 - a callable
    """Return who names the row of the highest logit among the first 128 that came."""
    from gridtwin.policy.rl import ppo
    from gridtwin.policy.rl.nets import restored

    net: Any = ppo.greedy(restored(learnt.arrays))

    def choose(queue: Queue) -> int:
        rows = rows_of(queue)
        with ppo.one_thread():
            return int(net(rows, np.array([len(rows)]), None)[0])

    return choose


def rows_of(queue: Queue) -> NDArray[np.float32]:
    """Return the clean features of `gridtwin.policy.rl.batched`, (n, 8)."""
    wait, request = np.maximum(queue.wait, 0.0), np.maximum(queue.request, 0.0)
    out = np.empty((len(queue), 8), np.float32)
    out[:, 0] = wait / (wait + 3600.0)
    out[:, 1] = np.minimum(np.log1p(request) / np.log1p(30 * 86400.0), 1.0)
    out[:, 2] = queue.cores / queue.size
    out[:, 3] = wait / (wait + np.maximum(request, 1.0))
    out[:, 4] = queue.free / queue.size
    out[:, 5] = queue.cores <= queue.free
    out[:, 6] = queue.waiting / (queue.waiting + 128.0)
    out[:, 7] = 1.0
    return out


def policy(name: str) -> Policy:
    """Return the policy of ``learnt:FOLDER`` or ``learnt:FOLDER+easy``."""
    learnt, backfill = splitting(name)
    return served(learnt, name, backfill)
