"""Who starts next: scores of waiting jobs, with or without backfilling.

A policy is a score of what a scheduler knows of a job: its requested time (s), its processors, when
it was submitted and how long it waits (s). The lowest is served first; equal ones by submit time.
F1 to F4 look at the time of day of the trace: submit times count from its first job here, and from
where the file counts with ``compat="rlscheduler"``; they change when a trace is re-based.
"""

import math
from dataclasses import dataclass, replace
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError, UnknownNameError
from gridtwin.policy.batch.call import Score, address_of, score_all
from gridtwin.sim.kernel.state import WINDOW
from gridtwin.sim.policies import Backfill, Policy, ScoreOf, register
from gridtwin.sim.waiting import ranking

__all__ = [
    "CONSERVATIVE",
    "EASY",
    "FAIR_SHARE",
    "FCFS",
    "PRIORITY",
    "QUEUEING",
    "Queueing",
    "find",
    "scored",
    "since_first",
    "splitting",
]

FCFS = register(Policy("fcfs"))
"""First come, first served: nobody overtakes."""

EASY = register(Policy("easy", backfill="easy"))
"""FCFS with EASY backfilling (Lifka, JSSPP 1995): a job overtakes if the first in the queue can
still start when it would have by the running jobs' requested times."""

PRIORITY = register(Policy("priority", order="priority"))
"""The highest priority first, then by arrival; nobody overtakes."""

FAIR_SHARE = register(Policy("fair_share", order="fair_share"))
"""The user first who used the least of the site lately: core seconds, which count half after a
while (`gridtwin.sim.assemble.Rules.half_life`); nobody overtakes."""

CONSERVATIVE = register(Policy("conservative", backfill="conservative"))
"""FCFS with conservative backfilling (Feitelson and Weil, IPPS 1998): a job overtakes if
nobody before it in the queue starts later than it would have by the requested times."""

_SC17 = "Carastan-Santos and de Camargo, SC 2017"
_SC20 = "Zhang et al., RLScheduler, SC 2020"
_HPDC22 = "Zhang et al., SchedInspector, HPDC 2022"
_WFP = "Tang et al., CLUSTER 2009"
_LEGACY = f"as run in {_SC20}: the waiting time was read before it was known, w = -1 - s"


@dataclass(frozen=True)
class Queueing:
    """A named queueing policy: data for the batch machine and for `simulate`."""

    name: str
    formula: str
    """Of r, the requested time; n, the processors; s, when submitted; w, the wait."""
    source: str
    score: Score | None = None
    """``score(request, width, submit, wait)``, lower first; a plain function of numbers that numba
    can compile. None: by the user's use of the machine."""
    moving: bool = False
    """Whether the score changes while a job waits."""
    by_submit: bool = False
    """Whether the published order is by score *and* submit time, which matters for equal scores
    under ``compat="rlscheduler"`` only."""

    @property
    def static(self) -> bool:
        """Whether the score is known at submission."""
        return self.score is not None and not self.moving


def _fcfs(r: float, n: float, s: float, w: float) -> float:
    return s


def _lcfs(r: float, n: float, s: float, w: float) -> float:
    return -s


def _sjf(r: float, n: float, s: float, w: float) -> float:
    return r


def _lpf(r: float, n: float, s: float, w: float) -> float:
    return -r


def _saf(r: float, n: float, s: float, w: float) -> float:
    return r * n


def _laf(r: float, n: float, s: float, w: float) -> float:
    return -r * n


def _smallest(r: float, n: float, s: float, w: float) -> float:
    return n


def _wfp3(r: float, n: float, s: float, w: float) -> float:
    return -math.pow(w / (r if r != 0.0 else 0.1), 3.0) * n


def _unicep(r: float, n: float, s: float, w: float) -> float:
    return -(w + 1e-15) / (math.log2(n + 1e-15) * (r if r != 0.0 else 0.1))


def _wfp3_legacy(r: float, n: float, s: float, w: float) -> float:
    return -math.pow((-1.0 - s) / (r if r != 0.0 else 0.1), 3.0) * n


def _unicep_legacy(r: float, n: float, s: float, w: float) -> float:
    return -((-1.0 - s) + 1e-15) / (math.log2(n + 1e-15) * (r if r != 0.0 else 0.1))


def _f1(r: float, n: float, s: float, w: float) -> float:
    return math.log10(r if r > 0.0 else 0.1) * n + 870.0 * math.log10(s if s > 0.0 else 0.1)


def _f2(r: float, n: float, s: float, w: float) -> float:
    return math.sqrt(r if r > 0.0 else 0.1) * n + 25600.0 * math.log10(s if s > 0.0 else 0.1)


def _f3(r: float, n: float, s: float, w: float) -> float:
    return (r if r > 0.0 else 0.1) * n + 6860000.0 * math.log10(s if s > 0.0 else 0.1)


def _f4(r: float, n: float, s: float, w: float) -> float:
    return (r if r > 0.0 else 0.1) * math.sqrt(n) + 530000.0 * math.log10(s if s > 0.0 else 0.1)


def _sexp(r: float, n: float, s: float, w: float) -> float:
    return (w + r) / n


def _lexp(r: float, n: float, s: float, w: float) -> float:
    return -(w + r) / n


def _sexp_legacy(r: float, n: float, s: float, w: float) -> float:
    return (-1.0 - s + r) / n


def _lexp_legacy(r: float, n: float, s: float, w: float) -> float:
    return -(-1.0 - s + r) / n


_ALL = (
    Queueing("fcfs", "s", "first come, first served", _fcfs),
    Queueing("lcfs", "-s", f"last come, first served; {_HPDC22}", _lcfs),
    Queueing("sjf", "r, then s", "shortest job first", _sjf, by_submit=True),
    Queueing("lpf", "-r", f"longest first; {_HPDC22}", _lpf),
    Queueing("saf", "r n", f"smallest area first; {_HPDC22}", _saf),
    Queueing("laf", "-r n", f"largest area first; {_HPDC22}", _laf),
    Queueing("smallest", "n, then s", "narrowest first", _smallest, by_submit=True),
    Queueing("wfp3", "-(w / r)^3 n", _WFP, _wfp3, moving=True),
    Queueing("wfp3_legacy", "-((-1 - s) / r)^3 n", _LEGACY, _wfp3_legacy),
    Queueing("unicep", "-w / (r log2 n)", _WFP, _unicep, moving=True),
    Queueing("unicep_legacy", "(1 + s) / (r log2 n)", _LEGACY, _unicep_legacy),
    Queueing("f1", "log10(r) n + 870 log10(s)", _SC17, _f1),
    Queueing("f2", "sqrt(r) n + 25600 log10(s)", _SC17, _f2),
    Queueing("f3", "r n + 6860000 log10(s)", _SC17, _f3),
    Queueing("f4", "r sqrt(n) + 530000 log10(s)", _SC17, _f4),
    Queueing("sexp", "(w + r) / n", f"smallest expansion; {_HPDC22}", _sexp, moving=True),
    Queueing("sexp_legacy", "(r - 1 - s) / n", _LEGACY, _sexp_legacy),
    Queueing("lexp", "-(w + r) / n", f"largest expansion; {_HPDC22}", _lexp, moving=True),
    Queueing("lexp_legacy", "-(r - 1 - s) / n", _LEGACY, _lexp_legacy),
    Queueing("fair_share", "the user's core seconds, halved weekly, then s", "fair share"),
)
QUEUEING: dict[str, Queueing] = {policy.name: policy for policy in _ALL}
"""All queueing policies, by name."""


def find(name: str) -> Queueing:
    """Return the queueing policy of that name, or raise `UnknownNameError`."""
    if name not in QUEUEING:
        raise UnknownNameError("queueing policy", name, QUEUEING)
    return QUEUEING[name]


def splitting(name: str) -> tuple[Queueing, Backfill]:
    """Return the policy and the backfilling of a name such as ``sjf+easy``.

    ``easy`` and ``conservative`` alone are ``fcfs`` with that.
    """
    order, _, backfill = name.partition("+")
    if not backfill and order in ("easy", "conservative"):
        order, backfill = "fcfs", order
    if (backfill or "none") not in get_args(Backfill):
        raise InputError(
            f"policy {name!r}: backfilling is none, easy or conservative, not {backfill!r}"
        )
    return find(order), cast("Backfill", backfill or "none")


def scored(
    policy: Queueing,
    request: NDArray[np.float64],
    width: NDArray[np.float64],
    submit: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the score of each job at submission; 0 for policies that have none."""
    out = np.zeros(len(submit))
    if policy.score is not None:
        wait = np.zeros(len(submit))
        columns = (np.ascontiguousarray(x, np.float64) for x in (request, width, submit))
        score_all(address_of(policy.score), *columns, wait, out)
    return out


def since_first(submit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return submit times counted from the first one."""
    return submit - submit.min() if len(submit) else submit


def _ranking(policy: Queueing) -> ScoreOf:
    return lambda request, width, submit: scored(policy, request, width, since_first(submit))


for _policy in _ALL:
    if _policy.name in ("fcfs", "fair_share"):
        continue
    if _policy.moving and _policy.score is not None:
        choose = ranking(_policy.score)
        register(Policy(_policy.name, order="called", choose=choose, window=WINDOW))
    else:
        register(replace(FCFS, name=_policy.name, order="scored", score=_ranking(_policy)))
