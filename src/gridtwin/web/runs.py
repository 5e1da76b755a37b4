"""The run folders under the served one: what there is, what it says, and nothing beside it."""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.result import DEFINITIONS
from gridtwin.study.folder import Folder
from gridtwin.study.kpis import METRICS
from gridtwin.study.spec import Scenario
from gridtwin.web.shapes import Figure, RunItem, Timeline

__all__ = ["MissingError", "Run", "find", "inside", "records", "report_of", "runs"]

MOST_RUNS = 500
_MOST_FOLDERS = 20_000
_DEEPEST = 4
_MOST_JSON = 8 << 20
_MOST_ROWS = 10_000_000
BINS = 300

Kind = Literal["study", "simulation", "report"]


class MissingError(InputError):
    """There is no such run, report or file under the served folder."""


def inside(root: Path, path: str) -> Path:
    """Return what `path` names below `root`; raises `MissingError` if that is not below it.

    Links are followed first, so that none leads out; names that begin with a dot are not there.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or any(part.startswith(".") for part in parts):
        raise MissingError(f"there is no {path!r} in the served folder")
    try:
        whole = root.resolve(strict=True)
        found = whole.joinpath(*parts).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise MissingError(f"there is no {path!r} in the served folder") from error
    if not found.is_relative_to(whole):
        raise MissingError(f"there is no {path!r} in the served folder")
    return found


@dataclass(frozen=True)
class Run:
    """A run folder, and of a study one of its scenarios."""

    path: str
    folder: Path
    kind: Kind
    scenario: str | None = None
    """Id or label; None: the base."""

    def item(self) -> RunItem:
        """Return what a list says of it."""
        title, progress = self.path, ""
        if self.kind == "study":
            try:
                title, progress = _study_line(self.folder)
            except FormatError as error:
                progress = str(error)
        return RunItem(
            path=self.path,
            title=title,
            kind=self.kind,
            modified=_newest(self.folder),
            report=report_of(self.folder) is not None,
            progress=progress,
        )

    @cached_property
    def study(self) -> Folder | None:
        """The study; None where this is none."""
        return Folder.open(self.folder) if self.kind == "study" else None

    @property
    def label(self) -> str:
        """How it is called beside another one."""
        if self.study is None:
            return self.path
        return f"{self.path}: {self._scenario(self.study).label}"

    def figures(self) -> list[Figure]:
        """Return its numbers by name; of a study, means over the seeds."""
        if self.study is not None:
            mine = pl.col("scenario") == self._scenario(self.study).id
            rows = self.study.results.filter(mine).group_by("metric").agg(pl.col("value").mean())
            value = dict(rows.iter_rows())
            return [
                Figure(name=name, value=value[name], meaning=f"{one.definition}, {one.unit}")
                for name, one in METRICS.items()
                if name in value
            ]
        return [
            Figure(name=name, value=_number(value), meaning=_meaning(name))
            for name, value in self._summary().items()
            if _number(value) is not None or value is None
        ]

    def facts(self) -> dict[str, str]:
        """Return what it says in words."""
        if self.study is not None:
            spec = self.study.spec
            return {"seeds": str(len(spec.seeds)), **self._scenario(self.study).values}
        if self.kind != "simulation":
            return {}
        document = _document(self.folder / "summary.json")
        facts = {name: value for name, value in self._summary().items() if isinstance(value, str)}
        facts |= {"gridtwin": document.get("gridtwin", ""), "kernel": document.get("kernel", "")}
        return {name: str(value) for name, value in facts.items() if value}

    def notes(self) -> list[str]:
        """Return what it says about itself."""
        if self.kind != "simulation":
            return []
        notes = _document(self.folder / "summary.json").get("notes", [])
        return [str(note) for note in notes] if isinstance(notes, list) else []

    def timeline(self) -> Timeline:
        """Return the state of all sites together over time; empty where there is none."""
        if self.study is not None:
            mine = pl.col("scenario") == self._scenario(self.study).id
            rows = self.study.timelines.filter(mine & pl.col("site").is_null())
            rows = rows.group_by("time_s").agg(pl.col(*_STATES).mean()).sort("time_s")
            hours = (rows["time_s"] / 3600.0).to_list()
            return Timeline(hours=hours, **{name: rows[name].to_list() for name in _STATES})
        path = self.folder / "timeline.parquet"
        if self.kind != "simulation" or not path.is_file():
            return Timeline(hours=[], **{name: [] for name in _STATES})
        return _averaged(path, path.stat().st_mtime_ns)

    def _scenario(self, study: Folder) -> Scenario:
        return study.spec.scenario(self.scenario or study.spec.base)

    def _summary(self) -> dict[str, Any]:
        if self.kind != "simulation":
            return {}
        found = _document(self.folder / "summary.json").get("summary", {})
        return found if isinstance(found, dict) else {}


def _newest(folder: Path) -> float:
    """Return when a run folder changed last, s since 1970."""
    files = (folder / name for name in (*_MARKS, "log.jsonl"))
    return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)


def _study_line(folder: Path) -> tuple[str, str]:
    """Return a study's name and how far it is."""
    spec = _document(folder / "spec.json")
    total = len(spec.get("scenarios", ())) * len(spec.get("seeds", ()))
    done = sum(1 for _ in (folder / "runs").glob("[!.]*.json"))
    return str(spec.get("name", folder.name)), f"{done:,} of {total:,} runs"


_STATES = ("queued", "running", "busy_cores")
_MARKS = ("spec.json", "summary.json", "report.html")


def _kind(folder: Path) -> Kind | None:
    if (folder / "spec.json").is_file():
        return "study"
    if (folder / "summary.json").is_file() and (folder / "timeline.parquet").is_file():
        return "simulation"
    return "report" if (folder / "report.html").is_file() else None


def find(root: Path, path: str, scenario: str | None = None) -> Run:
    """Return the run of a path; raises `MissingError`."""
    folder = inside(root, path)
    kind = _kind(folder) if folder.is_dir() else None
    if kind is None:
        raise MissingError(f"{path!r} is no run: it has no spec.json, summary.json or report.html")
    return Run(PurePosixPath(path).as_posix(), folder, kind, scenario)


def runs(root: Path) -> tuple[list[RunItem], int]:
    """Return the runs below `root`, latest first, at most `MOST_RUNS`, and how many more."""
    found = []
    for folder in _folders(root):
        kind = _kind(folder)
        if kind is not None:
            found.append(Run(folder.relative_to(root).as_posix(), folder, kind).item())
    found.sort(key=lambda item: (-item.modified, item.path))
    return found[:MOST_RUNS], max(0, len(found) - MOST_RUNS)


def records(root: Path) -> list[str]:
    """Return the Parquet files that could be job records, at most `MOST_RUNS`."""
    found: list[str] = []
    for folder in (root, *_folders(root)):
        mine = [*sorted(folder.glob("*jobs*.parquet")), *sorted(folder.glob("synthetic.parquet"))]
        good = (path for path in mine if path.is_file() and not path.is_symlink())
        found.extend(path.relative_to(root).as_posix() for path in good)
        if len(found) > MOST_RUNS:
            break
    return found[:MOST_RUNS]


def report_of(folder: Path) -> Path | None:
    """Return the report of a run folder."""
    path = folder / "report.html"
    return path if path.is_file() and not path.is_symlink() else None


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders below `root`, without links and hidden ones, to a bounded depth."""
    todo, seen = [(root, 0)], 0
    while todo and seen < _MOST_FOLDERS:
        folder, depth = todo.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False):
                continue
            seen += 1
            path = Path(entry.path)
            yield path
            if depth + 1 < _DEEPEST:
                todo.append((path, depth + 1))


def _document(path: Path) -> dict[str, Any]:
    """Return a JSON object of a file; raises `FormatError`."""
    try:
        if path.stat().st_size > _MOST_JSON:
            raise FormatError(f"{path.name}: larger than {_MOST_JSON:,} bytes")
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise FormatError(f"{path.name}: expected an object")
    return document


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _meaning(name: str) -> str:
    return DEFINITIONS.get(name, DEFINITIONS.get(name.partition("_")[2], ""))


@lru_cache(maxsize=16)
def _averaged(path: Path, _changed: int) -> Timeline:
    """Return the time-weighted means of an exact timeline; memory: 100 bytes a row."""
    names = _STATES
    try:
        scan = pl.scan_parquet(path, glob=False)
        count = scan.select(pl.len()).collect().item()
        if count > _MOST_ROWS:
            raise InputError(f"{path.name}: {count:,} rows; at most {_MOST_ROWS:,} are drawn here")
        steps = [pl.col(n).cast(pl.Float64).diff().fill_null(pl.col(n)).over("site") for n in names]
        frame = scan.select("time", "site", *names).sort("site", "time")
        frame = frame.with_columns(steps).sort("time")
        rows = frame.with_columns(pl.col(name).cum_sum() for name in names).collect()
    except pl.exceptions.PolarsError as error:
        raise FormatError(f"{path.name} is no timeline: {error}") from error
    if not rows.height:
        return Timeline(hours=[], **{name: [] for name in names})
    time = rows["time"].to_numpy()
    edges = np.linspace(time[0], max(time[-1], time[0] + 1.0), BINS + 1)
    told = {"hours": ((edges[:-1] - time[0]) / 3600.0).tolist()}
    for name in names:
        area = np.zeros(len(time))
        area[1:] = np.cumsum(rows[name].to_numpy()[:-1] * np.diff(time))
        told[name] = (np.diff(np.interp(edges, time, area)) / np.diff(edges)).round(6).tolist()
    return Timeline(**told)
