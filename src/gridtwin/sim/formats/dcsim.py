"""DCSim's input (data sets and workloads, JSON) and output (a CSV row for each job).

A workload is a class of jobs that are submitted at one instant; their sizes are drawn. As there:

- A ``gaussian`` is drawn again where it is below 0; a ``histogram`` gives a bin by its count, and
  in it all values alike; ``poisson`` is for cores and drawn again where it is 0.
- ``flops`` are those of all cores together, memory is of the whole job.
- A job reads the next ``files // jobs`` of the files of its ``infile_datasets``, in their order;
  what remains is read by none. Where there is ``infiles_per_job`` too, a job reads that many, from
  the first again after the last. In older files, without data sets, it has that many files of its
  own, of ``infilesize``, and nothing says where they are. A ``calculation`` reads nothing.

Other than there: the cores of a histogram are those in its bins where it has bins (DCSim does not
look at them and counts from 0), and memory may be in MB, as in most of its files: it is taken so
where its mean is below 1e6. Platforms are SimGrid XML, see `gridtwin.sim.formats.simgrid`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.sim.formats._distributions import LARGEST, Real, Whole, real, whole_number
from gridtwin.sim.formats._json import load, mapping, naming, number, only, sequence, string, whole

__all__ = [
    "Dataset",
    "JobClass",
    "WorkloadType",
    "read_datasets",
    "read_workloads",
    "write_datasets",
    "write_workloads",
]

WorkloadType = Literal["calculation", "streaming", "copy"]

_MOST = 2_000_000  # jobs or files of one class: more is a slip, and would fill the memory
_MB_BELOW = 1e6
_INPUT_SETS = ("infile_datasets", "infile_dataset")  # the second one in older documents
_SIZES = ("flops", "memory", "outfilesize")


@dataclass(frozen=True)
class Dataset:
    """Files of one kind at one place or several."""

    name: str
    location: tuple[str, ...]
    """Hosts, each of which holds all the files."""
    num_files: int
    filesize: Real


@dataclass(frozen=True)
class JobClass:
    """A class of jobs, submitted together."""

    name: str
    num_jobs: int
    cores: Whole
    flops: Real
    memory: Real
    outfilesize: Real
    kind: WorkloadType
    submission_time: float
    infile_datasets: tuple[str, ...] = ()
    infiles_per_job: int | None = None
    """In older files: input files that each job has for itself."""
    infilesize: Real | None = None

    @property
    def memory_unit(self) -> Literal["MB", "bytes"]:
        """What memory is in: MB where its mean is below 1e6."""
        return "MB" if self.memory.mean < _MB_BELOW else "bytes"


def read_datasets(path: Path | str) -> tuple[Dataset, ...]:
    """Read a data set JSON; raise `FormatError` naming the file and the key's path."""
    path = Path(path)
    with naming(path):
        found = []
        for name, value in mapping(load(path), "the document").items():
            table = mapping(value, name)
            only(table, name, ("location", "num_files", "filesize"))
            found.append(
                Dataset(
                    name,
                    _names(table["location"], f"{name}.location"),
                    whole(table["num_files"], f"{name}.num_files", most=_MOST),
                    real(table["filesize"], f"{name}.filesize"),
                )
            )
        return tuple(found)


def read_workloads(path: Path | str) -> tuple[JobClass, ...]:
    """Read a workload JSON; raise `FormatError` naming the file and the key's path."""
    path = Path(path)
    with naming(path):
        document = mapping(load(path), "the document")
        return tuple(_workload(name, value) for name, value in document.items())


def write_datasets(datasets: Iterable[Dataset], path: Path | str) -> None:
    """Write a data set JSON."""
    _write(
        {
            dataset.name: {
                "location": list(dataset.location),
                "num_files": dataset.num_files,
                "filesize": dataset.filesize.to_json(),
            }
            for dataset in datasets
        },
        path,
    )


def write_workloads(workloads: Iterable[JobClass], path: Path | str) -> None:
    """Write a workload JSON."""
    document = {}
    for one in workloads:
        table: dict[str, Any] = {"num_jobs": one.num_jobs, "cores": one.cores.to_json()}
        table |= {name: getattr(one, name).to_json() for name in _SIZES}
        table |= {"workload_type": one.kind, "submission_time": one.submission_time}
        if one.infile_datasets:
            table["infile_datasets"] = list(one.infile_datasets)
        if one.infiles_per_job is not None:
            table["infiles_per_job"] = one.infiles_per_job
        if one.infilesize is not None:
            table["infilesize"] = one.infilesize.to_json()
        document[one.name] = table
    _write(document, path)


def _workload(name: str, value: object) -> JobClass:
    table = mapping(value, name)
    needs = ("num_jobs", "cores", *_SIZES, "workload_type", "submission_time")
    only(table, name, needs, (*_INPUT_SETS, "infiles_per_job", "infilesize"))
    if all(key in table for key in _INPUT_SETS):
        raise InputError(f"{name}: {' and '.join(_INPUT_SETS)} are both given; give the first")
    kind = string(table["workload_type"], f"{name}.workload_type").lower()
    if kind not in get_args(WorkloadType):
        raise InputError(
            f"{name}.workload_type: {kind!r} cannot be represented; expected one of "
            f"{', '.join(get_args(WorkloadType))}"
        )
    own_files = "infiles_per_job" in table and "infilesize" in table
    if kind != "calculation" and not own_files and not {*_INPUT_SETS} & set(table):
        raise InputError(f"{name}.infile_datasets is missing; jobs that read need files")
    time = number(table["submission_time"], f"{name}.submission_time")
    if not 0 <= time < LARGEST:
        raise InputError(f"{name}.submission_time: expected 0 or more, got {time}")
    datasets = table.get("infile_datasets", table.get("infile_dataset"))
    each = table.get("infiles_per_job")
    own = table.get("infilesize")
    jobs = whole(table["num_jobs"], f"{name}.num_jobs", most=_MOST)
    most = _MOST // max(jobs, 1)
    flops, memory, outfilesize = (real(table[key], f"{name}.{key}") for key in _SIZES)
    return JobClass(
        name=name,
        num_jobs=jobs,
        cores=whole_number(table["cores"], f"{name}.cores"),
        flops=flops,
        memory=memory,
        outfilesize=outfilesize,
        kind=kind,  # type: ignore[arg-type]
        submission_time=time,
        infile_datasets=() if datasets is None else _names(datasets, f"{name}.infile_datasets"),
        infiles_per_job=None if each is None else whole(each, f"{name}.infiles_per_job", most=most),
        infilesize=None if own is None else real(own, f"{name}.infilesize"),
    )


def _names(value: object, at: str) -> tuple[str, ...]:
    """Return one name or a list of them, all different."""
    words = [value] if isinstance(value, str) else sequence(value, at)
    names = tuple(string(word, f"{at}[{k}]") for k, word in enumerate(words))
    if len(set(names)) < len(names) or not names:
        raise InputError(f"{at}: expected one name or several different ones, got {list(names)}")
    return names


def _write(document: object, path: Path | str) -> None:
    with writing(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
