"""What a broker may know of attempts: that they ended, and how, when they have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridtwin.sim.kernel.codes import Outcome
from gridtwin.sim.kernel.state import State

__all__ = ["ENDED", "Ended"]

ENDED = np.dtype(
    [
        ("job", np.int64),
        ("number", np.int64),  # 0 is the first attempt
        ("site", np.int64),
        ("ready", np.float64),  # when the broker had it
        ("start", np.float64),
        ("staged", np.float64),  # when its last input was there; NaN: it had none
        ("computed", np.float64),  # when its payload ended; NaN: it did not
        ("end", np.float64),
        ("finished", np.bool_),
    ]
)
"""An attempt that ended."""
_FINISHED = int(Outcome.FINISHED)
_FEW = 1000


class Ended:
    """The attempts that ended since the last look.

    The kernel knows how a payload will end when it starts; nothing of an attempt is told here
    before its end is past.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._open = np.zeros(0, np.int64)
        self._seen = 0
        self._asked = 0

    def look(self) -> NDArray[Any]:
        """Return an array of `ENDED`, by number of the attempt.

        All that is open is looked through, so that with more than 1,000 attempts open only every
        second, third... call looks, and what ended is told a few decisions later.
        """
        self._asked += 1
        made = int(self._state.world[0]["attempts"])
        if self._asked * _FEW < len(self._open):
            return np.zeros(0, ENDED)
        self._asked = 0
        attempts = self._state.attempts
        among = np.concatenate([self._open, np.arange(self._seen, made)])
        self._seen = made
        over = ~np.isnan(attempts["end"][among])
        self._open = among[~over & (attempts["site"][among] >= 0)]
        rows = attempts[among[over]]
        told = np.zeros(len(rows), ENDED)
        for name in ("job", "number", "site", "ready", "start", "staged", "computed", "end"):
            told[name] = rows[name]
        told["finished"] = rows["outcome"] == _FINISHED
        return told
