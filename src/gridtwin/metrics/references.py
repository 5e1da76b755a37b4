"""What real traces score: held-out rows, halves, and the bootstrap of real weeks."""

from collections.abc import Callable, Iterator

import numpy as np

from gridtwin.core.seeds import spawn
from gridtwin.trace import JobTable
from gridtwin.trace.encode import modelled_columns
from gridtwin.trace.resample import block_length, body, bootstrap_blocks

__all__ = ["Real", "halves", "replicates"]

REPLICATES = 20
"""Bootstrap replicates of the real weeks."""


class Real:
    """The real side of a judgement: which real tables serve as which reference."""

    def __init__(
        self, train: JobTable, holdout: JobTable | None, cores: int | None, seed: int
    ) -> None:
        self.train, self.holdout, self.cores, self.seed = train, holdout, cores, seed
        self.columns = modelled_columns(train)
        self.notes: list[str] = []
        rng = np.random.default_rng(seed)
        if holdout is None:
            self.base, self.other = halves(train, rng)
            self.same_period = True
        else:
            self.base, self.other = train, holdout
            self.same_period = _overlap(train, holdout)
        self.untimed = () if self.same_period else ("submit_time",)

    def tell(self, *, rows: bool, traces: bool) -> None:
        """Note how the references are made, of what is judged: rows, whole traces or both."""
        if self.holdout is None:
            self.notes.append(
                f"No holdout was given: the held-out values compare two random halves of train "
                f"({len(self.base)} and {len(self.other)} rows)"
                f"{'; c2st compares with train itself' if rows else ''}."
            )
        elif not self.same_period:
            self.notes.append(
                "The holdout is of another period than train: submit_time is left out of c2st and "
                "of the privacy metrics, and arrivals have no held-out value."
            )
        elif traces:
            self.notes.append(
                "The holdout is of the same period as train: if it was split off at random, train "
                "is a thinned trace, and its queue is shorter than the machine's; judge queues "
                "with a model of the whole trace."
            )
        else:
            self.notes.append("The holdout is of the same period as train.")


def halves(jobs: JobTable, rng: np.random.Generator) -> tuple[JobTable, JobTable]:
    """Return two random halves of the rows."""
    frame = jobs.collect()
    first = np.zeros(frame.height, bool)
    first[rng.permutation(frame.height)[: (frame.height + 1) // 2]] = True
    return jobs.with_frame(frame.filter(first)), jobs.with_frame(frame.filter(~first))


def _overlap(a: JobTable, b: JobTable) -> bool:
    """Say whether the middle 90 % of two tables' submit times share half of the shorter span."""
    if "submit_time" not in a or "submit_time" not in b:
        return True
    spans = []
    for jobs in (a, b):
        times = jobs.collect(["submit_time"])["submit_time"].drop_nulls().to_numpy()
        if not len(times):
            return True
        spans.append(np.quantile(times, [0.05, 0.95]))
    (low_a, high_a), (low_b, high_b) = spans
    shorter = max(min(high_a - low_a, high_b - low_b), 1.0)
    return bool(min(high_a, high_b) - max(low_a, low_b) >= 0.5 * shorter)


def replicates(real: Real) -> Iterator[Callable[[], JobTable]]:
    """Yield makers of bootstrap replicates, none where the trace is too short."""
    if "submit_time" not in real.train:
        return
    times = real.train.collect(["submit_time"])["submit_time"].drop_nulls().sort().to_numpy()
    length = block_length(body(times))
    if length == 0:
        real.notes.append("The trace spans less than 4 hours: no bootstrap of real weeks.")
        return
    unit = {604800.0: "weeks", 86400.0: "days", 3600.0: "hours"}[length]
    real.notes.append(
        f"The reference of arrivals and queues is the block bootstrap of whole real {unit}, "
        f"{REPLICATES} replicates."
    )
    for rng in spawn(real.seed, REPLICATES):
        yield lambda rng=rng: bootstrap_blocks(real.train, rng)  # type: ignore[misc]
