"""The jobs of one machine as arrays, from a job table or as RLScheduler reads an SWF file."""

import gzip
import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, InputError
from gridtwin.metrics.sites import sites_of
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size, runnable

__all__ = ["Stream", "from_table", "read_rlscheduler", "rlscheduler_starts"]

_HEADER = re.compile(r"^;\s*(MaxProcs|MaxNodes):\s*(\d{1,15})")
_FIELDS = 18


@dataclass(frozen=True)
class Stream:
    """Jobs of one machine, arrays of one entry per job."""

    submit: NDArray[np.float64]
    """s."""
    need: NDArray[np.int64]
    """Of the machine, 0 to `cores`."""
    width: NDArray[np.int64]
    """Processors asked for; those of `need` unless the machine gives whole nodes."""
    run: NDArray[np.float64]
    request: NDArray[np.float64]
    user: NDArray[np.int64]
    """0, 1, ..."""
    cores: int
    """Size of the machine, in the unit of `need`."""
    row: NDArray[np.int64]
    """Number of each job in what it was read from."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Jobs left out, by reason."""
    changed: dict[str, int] = field(default_factory=dict)
    """Jobs taken otherwise than recorded, by reason."""

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in ("need", "width", "run", "request")}
        if lengths | {len(self.user), len(self.row)} != {len(self.submit)}:
            raise InputError("the arrays of a stream differ in length; give one entry per job")
        times = (self.submit, self.run, self.request)
        if not all(np.isfinite(values).all() for values in times):
            raise InputError("a job's times hold NaN or infinity; leave such jobs out")
        if len(self.need) and not 0 <= self.need.min() <= self.need.max() <= self.cores:
            raise InputError(
                f"jobs of {self.need.min()} to {self.need.max()} on a machine of {self.cores}; "
                "leave out those that do not fit"
            )
        if len(self.run) and self.run.min() < 0:
            raise InputError(f"a job runs {self.run.min()} s; expected 0 or more")

    def __len__(self) -> int:
        return len(self.submit)

    def head(self, count: int) -> "Stream":
        """Return the first jobs."""
        names = ("submit", "need", "width", "run", "request", "user")
        parts = {name: getattr(self, name)[:count] for name in (*names, "row")}
        return replace(self, **parts)


def from_table(jobs: JobTable, *, cores: int | None = None) -> Stream:
    """Return the jobs that one machine can run, in order of submission.

    `cores` is by default `gridtwin.trace.derive.machine_size`. Without users, all is one user's.
    """
    ready = runnable(jobs)
    cores = machine_size(jobs, ready) if cores is None else cores
    fits = ready.width <= cores
    dropped = dict(ready.dropped)
    if not fits.all():
        dropped["wider than the machine"] = int((~fits).sum())
    row = ready.row[fits]
    user = np.zeros(len(row), np.int64)
    if "user" in jobs:
        names = jobs.collect(["user"])["user"][row].cast(pl.String).fill_null("")
        user = names.rank("dense").to_numpy().astype(np.int64) - 1 if len(names) else user
    sites = sites_of(jobs)
    return Stream(
        submit=ready.submit[fits],
        need=ready.width[fits],
        width=ready.width[fits],
        run=ready.run[fits],
        request=ready.request[fits],
        user=user,
        cores=cores,
        row=row,
        dropped=dropped,
        changed={f"{sites} sites are one machine": len(row)} if sites > 1 else {},
    )


def read_rlscheduler(path: Path | str) -> Stream:
    """Read an SWF file as RLScheduler does (Zhang et al., SC 2020), plain or gzip.

    A job's processors are the larger of those given (field 5) and asked for (field 8). Its request
    is field 9, or the run time as it stands where that is -1. Then a negative run time is 10 s, and
    jobs that ran 0 s are dropped, no others, so that places in the stream are that simulator's.
    They stand in order of their numbers, whatever their submit times. The machine gives whole nodes
    of MaxProcs / MaxNodes processors; where the header has only one of them, nodes have one
    processor. Where that simulator would break off, jobs without processors need nothing, and those
    wider than the machine all of it (`Stream.changed`). `Stream.row` has the job numbers.
    """
    path = Path(path)
    header, table = _lines(path)
    procs, nodes = header.get("MaxProcs", 0), header.get("MaxNodes", 0)
    procs = procs or nodes
    nodes = nodes or procs
    if not procs:
        raise FormatError(f"{path}: no MaxProcs or MaxNodes in the header; the machine has no size")
    number, submit, run = table[:, 0], table[:, 1], table[:, 3]
    width = np.maximum(table[:, 4], table[:, 7])
    request = np.where(table[:, 8] == -1, run, table[:, 8])
    run = np.where(run < 0, 10.0, run)
    need = np.ceil(width / (procs / nodes))
    kept = run != 0
    changed = {
        "no processors": int(((need < 1) & kept).sum()),
        "wider than the machine": int(((need > nodes) & kept).sum()),
    }
    order = np.flatnonzero(kept)[np.argsort(number[kept], kind="stable")]
    need = np.clip(need, 0, nodes).astype(np.int64)
    users = np.unique(table[order, 11], return_inverse=True)[1]
    return Stream(
        submit=submit[order],
        need=need[order],
        width=width[order].astype(np.int64),
        run=run[order],
        request=request[order],
        user=users.astype(np.int64),
        cores=nodes,
        row=number[order].astype(np.int64),
        dropped={} if kept.all() else {"ran 0 s": int((~kept).sum())},
        changed={reason: count for reason, count in changed.items() if count},
    )


def _lines(path: Path) -> tuple[dict[str, int], NDArray[np.float64]]:
    """Return the header's sizes and a row of 18 numbers for each job."""
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            raise FormatError(f"{path}: broken gzip file ({error}); get it again") from error
    header: dict[str, int] = {}
    rows: list[list[float]] = []
    for count, line in enumerate(raw.decode("latin-1").split("\n"), 1):
        text = line.strip()
        if match := _HEADER.match(text):
            header[match[1]] = int(match[2])
        if not text or text.startswith(";"):
            continue
        words = text.split()
        try:
            numbers = [float(word) for word in words[:_FIELDS]]
        except ValueError:
            numbers = []
        if len(numbers) < _FIELDS or not np.isfinite(numbers).all():
            raise FormatError(
                f"{path}, line {count}: expected {_FIELDS} numbers, got {text[:60]!r}; "
                "correct it or read the file with gridtwin.read"
            )
        rows.append(numbers)
    return header, np.array(rows, np.float64).reshape(-1, _FIELDS)


def rlscheduler_starts(
    jobs: int, length: int, *, seed: int = 1, count: int = 10
) -> NDArray[np.int64]:
    """Return where that environment's random sequences begin, for a seed.

    Its seeding is that of old gym: the first 8 bytes of SHA-512 of the seed's decimal digits, as
    two words for `numpy.random.RandomState`; the draws are ``randint(length, jobs - length - 1)``.
    """
    if jobs - length - 1 <= length:
        raise InputError(
            f"{jobs} jobs for sequences of {length}: expected more than {2 * length + 1}"
        )
    digest = hashlib.sha512(str(seed).encode()).digest()[:8]
    words = np.frombuffer(digest, "<u4").astype(np.int64)
    words = words[: 1 if words[1] == 0 else 2]
    drawn = np.random.RandomState(words.tolist())  # the published generator
    return drawn.randint(length, jobs - length - 1, size=count).astype(np.int64)
