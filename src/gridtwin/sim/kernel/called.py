"""Ask a function which of a site's waiting jobs is next, through its address.

It is called as ``(here, queue, count)``, two places in memory and a number, so that one kernel
serves compiled functions and Python's. It answers a row of the window, or `RANKED` when it has
written scores.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from gridtwin.sim.kernel.backfill import expected, usable
from gridtwin.sim.kernel.jit import part, rare
from gridtwin.sim.kernel.state import State

__all__ = ["RANKED", "line_up"]

RANKED = -1
"""In place of a row: all are scored, the lowest is next."""


def _call(typing_context: Any, address: Any, here: Any, queue: Any, count: Any) -> Any:  # noqa: ANN401 - numba is untyped
    """Return the type and the code of a call through an address."""

    def make(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ANN401
        word, byte = ir.IntType(64), ir.IntType(8).as_pointer()
        pointer = ir.FunctionType(word, [byte, byte, word]).as_pointer()
        tables = [
            builder.bitcast(context.make_array(kind)(context, builder, value).data, byte)
            for kind, value in zip(signature.args[1:3], args[1:3], strict=True)
        ]
        return builder.call(builder.inttoptr(args[0], pointer), [*tables, args[3]])

    return types.int64(address, here, queue, types.int64), make


_ask: Any = intrinsic(_call)


@rare
def _show(st: State, s: int, now: float) -> int:
    """Write what is known of the site and its first waiting jobs; return how many are shown."""
    here, queue = st.here, st.queue
    first, free, count = st.sites[s].first_pool, 0, 0
    for p in range(first, st.sites[s].last_pool):
        free += max(usable(st, p), 0)
    here[0].now = now
    here[0].origin = st.jobs[0].submit
    here[0].site = s
    here[0].size = st.sites[s].cores
    here[0].free = free
    here[0].running = st.sites[s].running
    here[0].waiting = st.sites[s].queued
    here[0].held = st.sites[s].held
    here[0].memory = st.called[s].memory
    a = st.sites[s].head
    while a >= 0 and count < st.called[s].window:
        job = st.attempts[a].job
        queue[count].job = job
        queue[count].attempt = a
        queue[count].submit = st.jobs[job].submit
        queue[count].wait = now - st.attempts[a].ready
        queue[count].request = expected(st, job, first)
        queue[count].cores = st.jobs[job].cores
        queue[count].memory = st.jobs[job].memory
        queue[count].priority = st.jobs[job].priority
        queue[count].user = st.jobs[job].user
        queue[count].kind = st.jobs[job].kind
        queue[count].score = 0.0
        st.lined[count] = count
        count += 1
        a = st.attempts[a].next
    return count


@part
def _before(st: State, i: int, j: int) -> bool:
    x, y = st.queue[i].score, st.queue[j].score
    return x < y or (x == y and st.queue[i].attempt < st.queue[j].attempt)


@rare
def _sort(st: State, count: int) -> None:
    """Sort rows by score and arrival; quick where little is out of order."""
    lined = st.lined
    for p in range(1, count):
        i = lined[p]
        if not _before(st, i, lined[p - 1]):
            continue
        low, high = 0, p - 1
        while low < high:
            middle = (low + high) >> 1
            if _before(st, i, lined[middle]):
                high = middle
            else:
                low = middle + 1
        for q in range(p, low, -1):
            lined[q] = lined[q - 1]
        lined[low] = i


@rare
def _link(st: State, s: int, count: int) -> None:
    """Put the shown jobs into the site's queue in their order, before those beyond."""
    attempts, ahead, a = st.attempts, -1, st.sites[s].head
    for _ in range(count):
        a = attempts[a].next
    beyond = a
    for p in range(count):
        a = st.queue[st.lined[p]].attempt
        attempts[a].previous = ahead
        if ahead >= 0:
            attempts[ahead].next = a
        else:
            st.sites[s].head = a
        ahead = a
    attempts[ahead].next = beyond
    if beyond >= 0:
        attempts[beyond].previous = ahead
    else:
        st.sites[s].tail = ahead


@rare
def _back(st: State, s: int) -> None:
    """Put the first of a queue where it arrived: it was chosen, and did not start."""
    attempts, a = st.attempts, st.sites[s].head
    behind = attempts[a].next
    if behind < 0 or behind > a:
        return
    st.sites[s].head = behind
    attempts[behind].previous = -1
    ahead = behind
    while behind >= 0 and behind < a:
        ahead, behind = behind, attempts[behind].next
    attempts[ahead].next = a
    attempts[a].previous = ahead
    attempts[a].next = behind
    if behind >= 0:
        attempts[behind].previous = a
    else:
        st.sites[s].tail = a


@rare
def line_up(st: State, s: int, now: float) -> int:
    """Let whoever is next stand first in a site's queue; return 1 if the answer is no row."""
    called = st.called
    if called[s].address == 0 or called[s].chosen >= 0:
        return 0
    if not called[s].ranked:
        _back(st, s)
    count = _show(st, s, now)
    answer = _ask(called[s].address, st.here, st.queue, count)
    if answer < RANKED or answer >= count:
        st.world[0].misled = s + 1
        st.world[0].turn = answer
        return 1
    if answer == RANKED:
        for i in range(count):
            if np.isnan(st.queue[i].score):
                st.queue[i].score = np.inf  # no number: last
        if called[s].commits:
            answer = 0
            for i in range(1, count):
                if _before(st, i, answer):
                    answer = i
    called[s].ranked = int(answer == RANKED)
    if answer == RANKED:
        _sort(st, count)
    else:
        for p in range(answer, 0, -1):
            st.lined[p] = st.lined[p - 1]
        st.lined[0] = answer
    _link(st, s, count)
    return 0
