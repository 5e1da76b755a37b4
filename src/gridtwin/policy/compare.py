"""Compare queueing policies on many sequences of one trace.

Every policy runs the same sequences, each a window of consecutive jobs on an empty machine, so that
differences are taken sequence by sequence: what one trace's bursts do to all of them cancels out. A
mean over ten sequences cannot tell policies apart; a hundred cost a second.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.run import Compat, start_times
from gridtwin.policy.batch.stream import Stream, rlscheduler_starts
from gridtwin.policy.queueing import splitting
from gridtwin.policy.rl import saved
from gridtwin.sim.policies import Backfill
from gridtwin.trace.derive import bounded_slowdown, offered_load

__all__ = [
    "DEFAULT",
    "OBJECTIVES",
    "PROTOCOLS",
    "Comparison",
    "Objective",
    "Protocol",
    "Row",
    "compare",
    "figures",
    "named",
]

Objective = Literal["bsld", "wait", "turnaround", "utilization", "worst_user"]
Protocol = Literal["paired", "published"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

DEFAULT = (
    *("fcfs", "sjf", "saf", "smallest", "lcfs", "wfp3", "unicep", "f1", "f2", "f3", "f4"),
    "fair_share",
)
"""What is compared unless other names are given."""

QUIET = 0.3
"""Below this offered load a trace hardly queues."""
_CALM = 1.5
_RESAMPLES = 2000


@dataclass(frozen=True)
class Row:
    """One policy; figures of a sequence are means over its jobs, in s."""

    policy: str
    mean: float
    """Of the objective, over the sequences; so `geo_mean` and `p95`."""
    geo_mean: float
    p95: float
    log_ratio: float
    """Mean over the sequences of log(objective / that of the baseline); below 0 is better (for
    utilization the ratio is turned round). Waits are counted from 1 s."""
    low: float
    """Of the interval that holds 95 % of `log_ratio` when sequences are drawn anew."""
    high: float
    wins: float
    """Share of the sequences on which no policy is better; equal ones share."""
    bsld: float
    wait: float
    turnaround: float
    utilization: float
    """Over the makespan, or to the last start in the published protocol."""
    mean_user: float
    """The users' average bounded slowdowns: their mean, …"""
    worst_user: float
    """… their largest, …"""
    fairness: float
    """… and Jain's index of them: 1 if all are alike, 1 / users if one has it all."""


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; the best row first."""

    rows: list[Row]
    objective: Objective
    baseline: str
    protocol: Protocol
    sequences: int
    length: int
    commit: bool
    seed: int
    jobs: int
    cores: int
    load: float
    """Offered load of the trace."""
    queueing: float
    """Share of the sequences whose average bounded slowdown under FCFS without backfilling is above
    1.5."""
    dropped: dict[str, int]
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self)


def named(policies: Sequence[str], backfill: Backfill = "none") -> list[str]:
    """Return names with backfilling, which `backfill` gives to those that say nothing of it."""
    whole = []
    for name in policies:
        (saved.splitting if name.startswith(saved.PREFIX) else splitting)(name)  # tell at once
        plain = (
            name.rpartition("+")[2] in get_args(Backfill)
            or backfill == "none"
            or name in ("easy", "conservative")
        )
        whole.append(name if plain else f"{name}+{backfill}")
    if len(set(whole)) < len(whole):
        raise InputError(f"a policy is named twice in {', '.join(whole)}; name each once")
    return whole


def compare(
    stream: Stream,
    policies: Sequence[str] = DEFAULT,
    *,
    objective: Objective = "bsld",
    baseline: str | None = None,
    protocol: Protocol = "paired",
    sequences: int | None = None,
    length: int = 1024,
    trim: float = 0.0,
    commit: bool = False,
    seed: int | None = None,
) -> Comparison:
    """Run policies on the same sequences and say how far apart they are.

    Parameters
    ----------
    policies
        Names as ``sjf`` or ``f1+easy``, or ``learnt:FOLDER`` (`gridtwin.policy.rl.saved`).
    baseline
        One of them; by default the first.
    protocol
        ``"paired"``: 100 sequences, drawn evenly, clean semantics. ``"published"``: as Zhang et
        al., RLScheduler, SC 2020: 10 sequences from its generator with seed 1, its semantics; only
        to reproduce tables, for its means do not tell policies apart.
    trim
        Share of each sequence's jobs that are not counted at its beginning and again at its end,
        where the machine fills and empties.
    commit
        Whether whoever is first blocks until it starts, as jobs that a learnt policy chose do.

    Notes
    -----
    Memory: about 100 bytes for each job of all sequences.
    """
    if objective not in OBJECTIVES:
        raise InputError(f"objective is {objective!r}; expected one of {', '.join(OBJECTIVES)}")
    if not 0 <= trim < 0.5:
        raise InputError(f"trim is {trim}; expected a share from 0 to below 0.5")
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol is {protocol!r}; expected paired or published")
    policies = named(policies)
    baseline = policies[0] if baseline is None else baseline
    if baseline not in policies:
        raise InputError(f"the baseline {baseline!r} is none of {', '.join(policies)}; name one")
    published = protocol == "published"
    count = (10 if published else 100) if sequences is None else sequences
    chosen = (1 if published else 0) if seed is None else seed
    first = _beginnings(stream, published, count, length, chosen)
    compat: Compat | None = "rlscheduler" if published else None
    found = {
        name: figures(stream, name, first, length=length, compat=compat, trim=trim, commit=commit)
        for name in policies
    }
    calm = found["fcfs"] if "fcfs" in found and not trim else None
    if calm is None:
        calm = figures(stream, "fcfs", first, length=length, compat=compat)
    load = offered_load(stream.run, stream.need, stream.submit, stream.cores)
    queueing = float((calm["bsld"] > _CALM).mean())
    return Comparison(
        rows=_rows(found, objective, baseline, chosen),
        objective=objective,
        baseline=baseline,
        protocol=protocol,
        sequences=count,
        length=length,
        commit=commit or published,
        seed=chosen,
        jobs=len(stream),
        cores=stream.cores,
        load=load,
        queueing=queueing,
        dropped=stream.dropped,
        warnings=_warnings(stream, load, queueing, count, length, published),
    )


def figures(
    stream: Stream,
    policy: str,
    first: NDArray[np.int64],
    *,
    length: int,
    compat: Compat | None = None,
    trim: float = 0.0,
    commit: bool = False,
) -> dict[str, NDArray[np.float64]]:
    """Run one policy on S sequences; return what each was like, arrays (S,) by name.

    Utilization is always of all jobs.
    """
    start = _starts(stream, policy, first, length, compat, commit)
    jobs = first[:, None] + np.arange(length)
    run, submit = stream.run[jobs], stream.submit[jobs]
    until = start.max(1) if compat else (start + run).max(1)
    span = (until - submit[:, 0]) * stream.cores
    area = (run * stream.need[jobs]).sum(1)
    cut = int(trim * length)
    kept = slice(cut, length - cut)
    wait = (start - submit)[:, kept]
    slowdown = bounded_slowdown(wait, run[:, kept])
    users = _by_user(slowdown, stream.user[jobs[:, kept]])
    return {
        "bsld": slowdown.mean(1),
        "wait": wait.mean(1),
        "turnaround": (wait + run[:, kept]).mean(1),
        "utilization": np.divide(area, span, out=np.full(len(first), np.nan), where=span > 0),
        "mean_user": users[0],
        "worst_user": users[1],
        "fairness": users[2],
    }


def _starts(
    stream: Stream,
    policy: str,
    first: NDArray[np.int64],
    length: int,
    compat: Compat | None,
    commit: bool,
) -> NDArray[np.float64]:
    if not policy.startswith(saved.PREFIX):
        queueing, backfill = splitting(policy)
        return start_times(
            stream,
            queueing,
            first=first,
            length=length,
            backfill=backfill,
            compat=compat,
            commit=commit,
        )
    learnt, backfill = saved.splitting(policy)
    if compat or (commit and learnt.form == "priority"):
        raise InputError(
            f"{policy} decides anew at each event, with clean semantics; compare it without "
            "--commit and not by the published protocol"
        )
    return learnt.start_times(stream, first, length, backfill=backfill)


def _by_user(
    slowdown: NDArray[np.float64], user: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean, largest and Jain's index (Jain et al., DEC-TR-301, 1984) of users' averages."""
    out = np.empty((3, len(slowdown)))
    for s, (values, who) in enumerate(zip(slowdown, user, strict=True)):
        jobs = np.bincount(who)
        average = (np.bincount(who, values) / np.maximum(jobs, 1))[jobs > 0]
        jain = average.sum() ** 2 / (len(average) * (average**2).sum())
        out[:, s] = average.mean(), average.max(), jain
    return out[0], out[1], out[2]


def _beginnings(
    stream: Stream, published: bool, count: int, length: int, seed: int
) -> NDArray[np.int64]:
    if count < 1 or length < 1:
        raise InputError(f"{count} sequences of {length} jobs; expected 1 or more of each")
    if published:
        return rlscheduler_starts(len(stream), length, seed=seed, count=count)
    if len(stream) < length:
        raise InputError(
            f"the trace has {len(stream)} jobs, a sequence {length}; choose a smaller length"
        )
    drawn = np.random.default_rng(seed).integers(0, len(stream) - length + 1, count)
    return np.sort(drawn)


def _rows(
    found: dict[str, dict[str, NDArray[np.float64]]],
    objective: Objective,
    baseline: str,
    seed: int,
) -> list[Row]:
    values = np.array([one[objective] for one in found.values()])
    sign = -1.0 if objective == "utilization" else 1.0
    logs = sign * np.log(values + (1.0 if objective == "wait" else 0.0))
    ratio = logs - logs[list(found).index(baseline)]
    best = np.isclose(logs, logs.min(0), rtol=0.0, atol=1e-12)
    wins = (best / best.sum(0)).mean(1)
    drawn = np.random.default_rng(seed).integers(0, values.shape[1], (_RESAMPLES, values.shape[1]))
    rows = []
    for k, (name, one) in enumerate(found.items()):
        low, high = np.quantile(ratio[k][drawn].mean(1), [0.025, 0.975])
        means = {key: float(one[key].mean()) for key in _MEANS}
        rows.append(
            Row(
                policy=name,
                mean=float(values[k].mean()),
                geo_mean=math.exp(sign * float(logs[k].mean())) - float(objective == "wait"),
                p95=float(np.quantile(values[k], 0.95)),
                log_ratio=float(ratio[k].mean()),
                low=float(low),
                high=float(high),
                wins=float(wins[k]),
                **means,
            )
        )
    return sorted(rows, key=lambda row: row.log_ratio)


_MEANS = ("bsld", "wait", "turnaround", "utilization", "mean_user", "worst_user", "fairness")


def _warnings(
    stream: Stream, load: float, queueing: float, count: int, length: int, published: bool
) -> list[str]:
    told = [f"{n} jobs are taken otherwise: {reason}" for reason, n in stream.changed.items()]
    if not load >= QUIET or queueing < 0.1:
        told.append(
            f"the trace hardly queues: offered load {load:.2f}, and under FCFS {queueing:.0%} of "
            f"the sequences have an average bounded slowdown above {_CALM}; what is compared here "
            "is little more than chance"
        )
    if count < 100 and not published:
        told.append(f"{count} sequences tell policies apart badly; take 100 or more")
    if published:
        told.append(
            "the published protocol is for reproduction: means of ten sequences do not tell "
            "policies apart"
        )
    elif len(stream) < 10 * length:
        told.append(
            f"{count} sequences of {length} out of {len(stream)} jobs overlap much; the intervals "
            "are narrower than they should be"
        )
    return told
