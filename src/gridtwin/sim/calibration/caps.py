"""Limits of single users, as their records show them."""

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim.calibration.records import Records

__all__ = ["user_caps"]

_LONG = 600.0
_SOON = 60.0
_FEWEST = 10


def user_caps(records: Records, until: float = np.inf) -> dict[str, int]:
    """Return the cores that a user seems to be held to, for those who seem to be.

    These are users of whose jobs that waited over ten minutes at least ten, and half of them,
    started within a minute after another job of theirs ended: they waited for themselves. The cap
    is what they held at such starts, all but the highest tenth. Only starts before `until` (s) are
    looked at. A user with many short jobs can be taken for such a one by chance, so that the search
    chooses whether caps help.
    """
    work = records.work
    if work.user is None:
        return {}
    start = work.submit + records.wait
    end = start + records.wall
    known = np.isfinite(end) & (start < until)
    caps = {}
    for user in np.unique(work.user[known]):
        rows = np.flatnonzero(known & (work.user == user))
        waited = rows[records.wait[rows] > _LONG]
        if len(waited) < _FEWEST:
            continue
        held = _held_at(start[rows], end[rows], work.cores[rows], start[waited])
        ends = np.sort(end[rows])
        last = np.searchsorted(ends, start[waited], side="right") - 1
        since = np.where(last >= 0, start[waited] - ends[last], np.inf)
        own = since <= _SOON
        if own.sum() >= max(_FEWEST, len(waited) / 2):
            caps[records.users[user]] = int(np.quantile(held[own], 0.9))
    return caps


def _held_at(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    cores: NDArray[np.int64],
    times: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the cores held right after some times."""
    begun, ended = np.argsort(start), np.argsort(end)
    got = np.concatenate([[0], np.cumsum(cores[begun])])
    gave = np.concatenate([[0], np.cumsum(cores[ended])])
    up = got[np.searchsorted(start[begun], times, side="right")]
    down = gave[np.searchsorted(end[ended], times, side="right")]
    return np.asarray(up - down, np.int64)
