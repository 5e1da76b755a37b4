"""A run folder: what a study has left so far, whether it is finished or not.

``spec.json`` says what is run, ``runs/<scenario>-<seed>.json`` and ``.parquet`` are one run each,
and the tables beside it follow from those.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.study import compare
from gridtwin.study.spec import Scenario, Spec

__all__ = ["Folder", "collect", "done", "open_folder", "read_spec", "run_file", "write_table"]

RESULTS = {"scenario": pl.String, "seed": pl.Int64, "metric": pl.String, "value": pl.Float64}
TIMELINES = {
    "scenario": pl.String,
    "seed": pl.Int64,
    "time_s": pl.Float64,
    "site": pl.String,
    "queued": pl.Float32,
    "running": pl.Float32,
    "busy_cores": pl.Float32,
}


@dataclass(frozen=True)
class Folder:
    """What a study has left; frames are empty where there is nothing yet.

    While runs are missing, the frames are of those that are done.
    """

    path: Path
    spec: Spec
    finished: tuple[tuple[str, int], ...]
    """Scenario and seed of the runs that are done."""

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a run folder; raises `FormatError` where there is none."""
        path = Path(path)
        spec = read_spec(path)
        return cls(path, spec, tuple(pair for pair in spec.runs if done(path, *pair)))

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """All scenarios, in order."""
        return self.spec.scenarios

    @property
    def total(self) -> int:
        """How many runs there will be."""
        return len(self.spec.runs)

    @property
    def complete(self) -> bool:
        """Whether all runs are done."""
        return len(self.finished) == self.total

    @cached_property
    def results(self) -> pl.DataFrame:
        """scenario, seed, metric, value, sorted; units are in `gridtwin.study.kpis.METRICS`."""
        known = self._table("results")
        return _results(self.path, self.finished) if known is None else known

    @cached_property
    def timelines(self) -> pl.DataFrame:
        """scenario, seed, time_s, site (null: all), queued, running, busy_cores: means over bins.

        Time counts from the midnight before the first job; sites have coarser bins than all.
        """
        known = self._table("timelines")
        return _timelines(self.path, self.finished) if known is None else known

    @cached_property
    def comparison(self) -> pl.DataFrame:
        """Each scenario beside the base: see `gridtwin.study.compare.comparison`."""
        known = self._table("comparison")
        return compare.comparison(self.results, self.spec) if known is None else known

    @cached_property
    def sensitivity(self) -> pl.DataFrame:
        """Which axis moves which figure: see `gridtwin.study.compare.sensitivity`."""
        known = self._table("sensitivity")
        return compare.sensitivity(self.results, self.spec) if known is None else known

    @cached_property
    def feedback(self) -> pl.DataFrame:
        """How far each window has drifted; empty without feedback."""
        known = self._table("feedback")
        return _windows(self.path, self.finished) if known is None else known

    @cached_property
    def notes(self) -> pl.DataFrame:
        """Sentences that runs left, with how many runs said so: scenario, note, runs."""
        rows = [
            {"scenario": name, "note": note}
            for name, seed in self.finished
            for note in _read(self.path, name, seed)["notes"]
        ]
        frame = pl.DataFrame(rows, schema={"scenario": pl.String, "note": pl.String})
        return frame.group_by("scenario", "note", maintain_order=True).agg(runs=pl.len())

    @cached_property
    def log(self) -> pl.DataFrame:
        """scenario, seed, wall_s, cpu_s, worker of the runs, in the order in which they ended."""
        schema = {"scenario": pl.String, "seed": pl.Int64, "wall_s": pl.Float64}
        schema |= {"cpu_s": pl.Float64, "worker": pl.String}
        rows = []
        path = self.path / "log.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            try:
                rows.append(json.loads(line))
            except ValueError:  # the process was killed while it wrote the line
                continue
        return pl.DataFrame(rows, schema=schema)

    def _table(self, name: str) -> pl.DataFrame | None:
        """Return a table of a finished study; None where it has to be made."""
        path = self.path / f"{name}.parquet"
        return pl.read_parquet(path) if self.complete and path.is_file() else None


def run_file(folder: Path, scenario: str, seed: int, suffix: str) -> Path:
    """Return where a file of a run is."""
    return folder / "runs" / f"{scenario}-{seed}{suffix}"


def done(folder: Path, scenario: str, seed: int) -> bool:
    """Return whether a run is done."""
    return run_file(folder, scenario, seed, ".json").is_file()


def read_spec(folder: Path) -> Spec:
    """Return the study of a run folder, as it was when it began."""
    path = folder / "spec.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FormatError(
            f"{folder} holds no spec.json; expected a folder that 'gridtwin study run' wrote"
        ) from error
    except ValueError as error:
        raise FormatError(f"{path} is no JSON: {error}; run the study again") from error
    return Spec.from_json(found, at=str(path))


def open_folder(folder: Path, spec: Spec, text: str | None, *, check: bool = True) -> Spec:
    """Make a run folder for a study, or check that it is one of the same; return the study.

    `check`: whether the study's inputs have to be there, and to be what they were.
    """
    if (folder / "spec.json").is_file():
        there = read_spec(folder)
        if (why := there.same_as(spec)) is not None:
            raise InputError(f"{folder} holds another study: {why}; choose a new folder")
    elif folder.is_dir() and any(not _begun(path) for path in folder.iterdir()):
        raise InputError(f"{folder} has files and no spec.json; choose a new or an empty folder")
    if check:
        spec.check_inputs()
    if not (folder / "spec.json").is_file():
        if text is not None:
            with writing(folder / "study.toml") as path:
                path.write_text(text, encoding="utf-8")
        with writing(folder / "spec.json") as path:
            path.write_text(json.dumps(spec.to_json(), indent=1), encoding="utf-8")
    (folder / "runs").mkdir(exist_ok=True)
    return spec


def collect(folder: Path, spec: Spec) -> None:
    """Write the tables of the runs that are done."""
    ready = [pair for pair in spec.runs if done(folder, *pair)]
    if len(ready) == len(spec.runs):  # nobody writes there any more: kills left these
        for rest in (folder / "runs").glob(".s*-*.*"):
            rest.unlink(missing_ok=True)
    results = _results(folder, ready)
    tables = {
        "results": results,
        "timelines": _timelines(folder, ready),
        "comparison": compare.comparison(results, spec),
        "sensitivity": compare.sensitivity(results, spec),
    }
    if spec.feedback is not None:
        tables["feedback"] = _windows(folder, ready)
    for name, frame in tables.items():
        write_table(frame, folder / f"{name}.parquet")


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a frame, the same bytes for the same rows.

    Each chunk of a frame has its own pages in the file, and a frame from another process has other
    chunks than it had there.
    """
    with writing(path) as temporary:
        frame.rechunk().write_parquet(temporary)


def _begun(path: Path) -> bool:
    """Return whether a file is what a study leaves that was killed before it had a spec.json."""
    return path.name == "study.toml" or path.name.startswith((".study.toml.", ".spec.json."))


def _read(folder: Path, scenario: str, seed: int) -> dict[str, Any]:
    path = run_file(folder, scenario, seed, ".json")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(f"{path} is no JSON: {error}; remove it and resume") from error
    return dict(found)


def _results(folder: Path, ready: Sequence[tuple[str, int]]) -> pl.DataFrame:
    rows: list[tuple[str, int, str, float | None]] = []
    for name, seed in sorted(ready):
        figures = _read(folder, name, seed)["figures"]
        rows += [(name, seed, metric, value) for metric, value in sorted(figures.items())]
    return pl.DataFrame(rows, schema=RESULTS, orient="row")


def _timelines(folder: Path, ready: Sequence[tuple[str, int]]) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=TIMELINES)]
    for name, seed in sorted(ready):
        part = pl.read_parquet(run_file(folder, name, seed, ".parquet"))
        parts.append(
            part.select(
                pl.lit(name).alias("scenario"), pl.lit(seed, pl.Int64).alias("seed"), pl.all()
            )
        )
    return pl.concat(parts, rechunk=True)


def _windows(folder: Path, ready: Sequence[tuple[str, int]]) -> pl.DataFrame:
    rows = [
        {"scenario": name, "seed": seed, **window}
        for name, seed in sorted(ready)
        for window in _read(folder, name, seed)["windows"]
    ]
    return pl.DataFrame(rows, infer_schema_length=None)
