"""What schedulers are trained on: real jobs, and what models make of them.

A source is known by its name: ``real`` is the first part of the trace; ``real weeks`` the same in
whole weeks drawn anew, another such period; a model's name what that model draws, fitted on the
first part alone; with ``+load`` behind it, the same with its gaps between submissions stretched or
shrunk so that it offers the load of the real jobs.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gridtwin.core.errors import GridtwinError, InputError
from gridtwin.core.seeds import spawn
from gridtwin.metrics.scheduling import load_of_body
from gridtwin.policy.batch.stream import Stream, from_table
from gridtwin.policy.rl.windows import CALM, reference
from gridtwin.sim.policies import Backfill
from gridtwin.study.benchmark import Contender, file_name
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size
from gridtwin.trace.readers import read
from gridtwin.trace.resample import bootstrap_blocks
from gridtwin.trace.split import by_time
from gridtwin.trace.writers import write

__all__ = [
    "LOADED",
    "REAL",
    "WEEKS",
    "Draw",
    "Parts",
    "draw",
    "load_of",
    "matched",
    "queueing",
    "split",
    "stream_of",
]

REAL, WEEKS, LOADED = "real", "real weeks", "+load"
MOST = 40_000
"""Jobs to train on; of longer first parts the last ones are taken."""
_WINDOWS = 128


@dataclass(frozen=True)
class Parts:
    """A trace in two parts of its time, on one machine."""

    jobs: JobTable
    """The first part, to learn from."""
    train: Stream
    """The same on the machine."""
    test: Stream
    """The later part."""


def split(jobs: JobTable, share: float, cores: int | None) -> Parts:
    """Divide a trace by time; on a machine of `cores`, else of the trace's own size.

    Raises `InputError` where one of the parts holds too few jobs to learn from.
    """
    if not 0 < share < 1:
        raise InputError(f"train on a share of {share}; give one between 0 and 1")
    size = machine_size(jobs) if cores is None else cores
    first, later = by_time(jobs, share)
    frame = first.collect()
    if frame.height > MOST:
        first = first.with_frame(frame.tail(MOST), f"Only the last {MOST} of these.")
    else:
        first = first.with_frame(frame)
    parts = Parts(first, from_table(first, cores=size), from_table(later, cores=size))
    for name, stream in (("first", parts.train), ("later", parts.test)):
        if len(stream) < 50:
            raise InputError(
                f"the {name} part of the trace has {len(stream)} jobs that can run; give 50 or "
                "more, by a longer trace or another share"
            )
    return parts


@dataclass(frozen=True)
class Draw:
    """A model to fit to the first part, and the samples wanted of it; None: real weeks."""

    model: Contender | None
    seeds: tuple[int, ...]
    fit_seed: int
    folder: Path

    @property
    def name(self) -> str:
        """That of the source."""
        return WEEKS if self.model is None else self.model.name

    def file(self, seed: int) -> Path:
        """Return where the sample of a seed is."""
        return sample_file(self.folder, self.name, seed)

    @property
    def missing(self) -> tuple[int, ...]:
        """The seeds whose sample is not there."""
        return tuple(seed for seed in self.seeds if not self.file(seed).is_file())


def sample_file(folder: Path, source: str, seed: int) -> Path:
    """Return where the sample of a source and a seed is."""
    return folder / "samples" / file_name(source) / f"{seed}.parquet"


def draw(wanted: Draw, jobs: JobTable) -> str:
    """Write the missing samples, as many jobs each as were fitted; return why there is none."""
    try:
        if wanted.model is None:
            for seed in wanted.missing:
                write(bootstrap_blocks(jobs, spawn(seed, 1)[0]), wanted.file(seed))
            return ""
        model = wanted.model.fit(jobs, wanted.fit_seed)
        for seed in wanted.missing:
            write(model.sample(seed=seed), wanted.file(seed))
    except GridtwinError as error:
        return str(error)
    return ""


def stream_of(source: str, seed: int, parts: Parts, folder: Path) -> Stream:
    """Return the jobs of a source on the machine."""
    if source == REAL:
        return parts.train
    name = source.removesuffix(LOADED)
    stream = from_table(read(sample_file(folder, name, seed)), cores=parts.train.cores)
    return matched(stream, load_of(parts.train)) if source.endswith(LOADED) else stream


def load_of(stream: Stream) -> float:
    """Return the offered load of a stream's body: stray jobs at its ends do not stretch it."""
    return load_of_body(stream.run, stream.need, stream.submit, stream.cores)


def matched(stream: Stream, load: float) -> Stream:
    """Return the stream with its gaps multiplied so that it offers a load."""
    own = load_of(stream)
    if not (np.isfinite(own) and own > 0 and np.isfinite(load) and load > 0):
        raise InputError(f"jobs of load {own:g} cannot be brought to {load:g}; leave +load out")
    since = stream.submit - stream.submit[0]
    return replace(stream, submit=stream.submit[0] + since * (own / load))


def queueing(stream: Stream, length: int, backfill: Backfill, seed: int) -> float:
    """Return the share of sequences from which something can be learnt, as the training has it."""
    length = min(length, len(stream))
    first = np.random.default_rng(seed).integers(0, len(stream) - length + 1, _WINDOWS)
    return float((reference(stream, first, length, backfill) > CALM).mean())
