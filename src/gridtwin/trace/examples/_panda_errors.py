"""What goes wrong with the jobs of the PanDA-like example, and how long it takes.

A failed job has one cause: its task (code, set-up), its memory, its input, its output, the site's
batch system, or an incident. The code depends on the cause; a second component joins with
probability 0.17, so that the shares of the components add up to 117 % of the failed jobs, as
published. All other shares are our estimates.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.trace import tables

__all__ = [
    "CAUSES",
    "CODES",
    "code_lists",
    "failed_run",
    "failure_code",
    "second_code",
    "task_codes",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CAUSES = ("task", "memory", "input", "output", "site", "storage", "network", "batch")
"""The last three are the kinds of incidents."""
_SECOND: dict[str, tuple[str, ...]] = {
    "pilot:1305": ("transexit:1", "transexit:65", "exe:65", "transexit:134", "transexit:139"),
    "pilot:1334": ("transexit:1",),
    "pilot:1110": ("exe:68", "transexit:1"),
    "pilot:1332": ("sup:1000",),
    "pilot:1165": ("ddm:200", "exe:68"),
    "pilot:1150": ("transexit:137",),
    "pilot:1212": ("transexit:137",),
    "pilot:1223": ("transexit:134", "transexit:65"),
    "pilot:1235": ("transexit:137",),
    "pilot:1099": ("ddm:100",),
    "pilot:1151": ("ddm:100",),
    "pilot:1361": ("ddm:100", "transexit:1"),
    "pilot:1368": ("ddm:100",),
    "pilot:1137": ("ddm:200",),
    "pilot:1152": ("ddm:200",),
    "ddm:200": ("pilot:1137", "jobdispatcher:104"),
    "jobdispatcher:100": ("sup:1000", "taskbuffer:300", "sup:2"),
    "jobdispatcher:102": ("sup:1000",),
    "taskbuffer:300": ("sup:8970", "sup:1001", "jobdispatcher:100"),
    "pilot:1201": ("sup:1001", "taskbuffer:300"),
    "pilot:1213": ("sup:4215",),
}
CODES: tuple[str, ...] = (
    *_SECOND,
    *sorted({code for codes in _SECOND.values() for code in codes} - set(_SECOND)),
    "taskbuffer:100",
    "taskbuffer:102",
    "taskbuffer:105",
    "taskbuffer:130",
)
"""All codes that occur; the arrays here hold their places in this tuple, -1 for none."""
_PLACE = {code: i for i, code in enumerate(CODES)}
_GROUPS = {
    "task": ("pilot:1305", "pilot:1150", "pilot:1334", "pilot:1165", "pilot:1110", "pilot:1332"),
    "memory": ("pilot:1235", "pilot:1212", "pilot:1223"),
    "copied": ("pilot:1099", "pilot:1151"),
    "direct": ("pilot:1361", "pilot:1368"),
    "output": ("pilot:1137", "pilot:1152", "ddm:200"),
    "site": (
        "jobdispatcher:100",
        "taskbuffer:300",
        "pilot:1201",
        "pilot:1213",
        "jobdispatcher:102",
    ),
    "batch": ("jobdispatcher:100", "taskbuffer:300", "pilot:1201"),
}
_EARLY = ("pilot:1099", "pilot:1361", "pilot:1334", "pilot:1110", "pilot:1332", "ddm:100")
"""Ends the job within minutes."""
_TIMED_OUT = ("pilot:1151", "pilot:1368")
_LATE = ("pilot:1137", "pilot:1152", "ddm:200", "pilot:1165")
"""Comes when all the work is done."""


def _draw(group: str, n: int, rng: np.random.Generator) -> Ints:
    """Draw codes of a group, by their share of all errors."""
    shares = tables.generator_params()["errors"]
    weight = np.array([shares[code] for code in _GROUPS[group]])
    places = np.array([_PLACE[code] for code in _GROUPS[group]])
    return np.asarray(places[rng.choice(len(places), n, p=weight / weight.sum())])


def task_codes(n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return the code of each task's own fault, and that of its lack of memory."""
    return _draw("task", n, rng), _draw("memory", n, rng)


def failure_code(
    cause: Ints, own: tuple[Ints, Ints], direct: NDArray[np.bool_], rng: np.random.Generator
) -> Ints:
    """Return the first code of each failed job from its cause.

    Parameters
    ----------
    cause
        Place in `CAUSES`.
    own
        The codes of the jobs' tasks: `task_codes`.
    direct
        Whether the job reads its input directly instead of copying it first.
    rng
        The source of randomness.
    """
    n = len(cause)
    wide = rng.random(n) < 0.5
    inputs = np.where(direct, _draw("direct", n, rng), _draw("copied", n, rng))
    lost = np.full(n, _PLACE["jobdispatcher:100"])
    full = np.full(n, _PLACE["pilot:1137"])
    luck = rng.random(n)
    opened = np.where(direct, _PLACE["pilot:1361"], _PLACE["pilot:1099"])
    storage = np.select([luck < 0.65, luck < 0.85], [opened, full], lost)
    slow = np.where(wide, _PLACE["pilot:1368"], _PLACE["pilot:1361"])
    network = np.where(direct, slow, _PLACE["pilot:1151"])
    # 1 of 10 failures of a task's own fault has another code than the task's
    odd = rng.random(n) < 0.1
    fault = np.where(odd, _draw("task", n, rng), own[0])
    by_cause = (
        fault,
        own[1],
        inputs,
        _draw("output", n, rng),
        _draw("site", n, rng),
        storage,
        network,
        _draw("batch", n, rng),
    )
    return np.asarray(np.choose(cause, by_cause), dtype=np.int64)


def second_code(first: Ints, rng: np.random.Generator) -> Ints:
    """Return a second code for 17 % of the failed jobs, -1 for the others."""
    out = np.full(len(first), -1, dtype=np.int64)
    joins = rng.random(len(first)) < tables.generator_params()["error_component_sum"]["v"] - 1
    pick = rng.random(len(first))
    for code, seconds in _SECOND.items():
        mine = np.flatnonzero(joins & (first == _PLACE[code]))
        places = np.array([_PLACE[second] for second in seconds])
        out[mine] = places[(pick[mine] ** 2 * len(places)).astype(int)]
    return out


def failed_run(code: Ints, intended: Floats, limit: Floats, rng: np.random.Generator) -> Floats:
    """Return how long each failed job ran, s, by its first code.

    `intended` is how long it would have run, `limit` how long it may.
    """
    n = len(code)
    run = rng.beta(0.6, 1.4, n) * intended
    minutes = rng.lognormal(np.log(150), 0.8, n)

    def of(*codes: str) -> NDArray[np.bool_]:
        return np.asarray(np.isin(code, [_PLACE[c] for c in codes]))

    run = np.where(of(*_EARLY), minutes, run)
    run = np.where(of(*_TIMED_OUT), 1800 + 10 * minutes, run)
    run = np.where(of(*_LATE), intended + 2 * minutes, run)
    run = np.where(of("pilot:1150"), run + rng.uniform(2, 12, n) * 3600, run)
    run = np.where(of("pilot:1213"), limit, run)
    run = np.where(of("pilot:1201", "taskbuffer:300"), rng.random(n) * intended, run)
    heard = np.maximum(rng.random(n) * intended - rng.uniform(0, 7200, n), 0)
    run = np.where(of("jobdispatcher:100"), heard, run)
    run = np.where(of("jobdispatcher:102"), 0, run)
    return np.asarray(np.minimum(run, limit))


def code_lists(first: Ints, second: Ints) -> pl.Series:
    """Return the lists of "component:code" words, made of one small table."""
    width = len(CODES) + 1
    pairs = (first + 1) * width + second + 1
    used, where = np.unique(pairs, return_inverse=True)
    words = ("", *CODES)
    lists = [[words[i] for i in divmod(int(pair), width) if i] for pair in used]
    return pl.Series("error_codes", lists, dtype=pl.List(pl.String)).gather(where)
