"""A study file: what it says, every list as an axis, and the fingerprints of what it reads."""

import datetime as dt
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import gridtwin
from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import sha256
from gridtwin.study.kpis import METRICS
from gridtwin.study.scenarios import (
    SOURCE,
    Axis,
    Days,
    FaultsTable,
    PlatformTable,
    PolicyTable,
    Table,
    WorkloadTable,
    axes_of,
    checked,
    products,
    told,
)
from gridtwin.study.whatif import WhatIf

__all__ = ["Feedback", "Scenario", "Spec", "load", "parse"]

TABLES: dict[str, type[Table]] = {
    "workload": WorkloadTable,
    "platform": PlatformTable,
    "policy": PolicyTable,
    "faults": FaultsTable,
    "whatif": WhatIf,
}
_FORMAT = 1
_MOST_RUNS = 100_000
_LIBRARIES = ("numpy", "polars", "numba", "scipy", "scikit-learn")


class Feedback(Table):
    """``[feedback]``: introspection; see `gridtwin.study.feedback`."""

    every_days: Days
    windows: Annotated[int, Field(ge=2, le=1000)] | None = None
    """How many; None: as many as the workload has."""
    learn: Literal["last", "all"] = "all"
    """From the last window's monitoring, or from all there is."""
    model: str = "trace"
    failures: bool = True
    """Whether the sites' chances of failure are learnt again too."""
    speeds: bool = False
    """Whether the sites' speeds are."""


class _Head(BaseModel):
    """What stands above the tables."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: str = "study"
    seeds: int | list[int] = 1
    base: dict[str, Any] = {}
    metrics: list[str] | None = None
    workload: Any = None
    platform: Any = None
    policy: Any = None
    faults: Any = None
    whatif: Any = None
    feedback: Any = None


@dataclass(frozen=True)
class Scenario:
    """One choice on every axis."""

    id: str
    values: dict[str, str]
    """Axis -> label."""
    workload: WorkloadTable
    platform: PlatformTable
    policy: PolicyTable
    faults: FaultsTable
    whatif: WhatIf

    @property
    def label(self) -> str:
        """What it is called in tables and charts."""
        return " · ".join(self.values.values()) or "base"


@dataclass(frozen=True)
class Spec:
    """A study that has been checked."""

    name: str
    document: dict[str, Any] = field(repr=False)
    """As the file has it."""
    root: Path
    """The folder that the file's paths start from."""
    axes: dict[str, tuple[str, ...]]
    """Axis -> labels."""
    scenarios: tuple[Scenario, ...] = field(repr=False)
    base: str
    """Id of the scenario that others are compared with."""
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    feedback: Feedback | None
    inputs: dict[str, str] = field(repr=False)
    """Path as the file has it -> SHA-256 of what is read."""
    versions: dict[str, str] = field(repr=False)

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Every scenario and seed, all scenarios of a seed together."""
        return [(scenario.id, seed) for seed in self.seeds for scenario in self.scenarios]

    @cached_property
    def by_id(self) -> dict[str, Scenario]:
        """Scenario by its id."""
        return {scenario.id: scenario for scenario in self.scenarios}

    def scenario(self, name: str) -> Scenario:
        """Return a scenario by id or label."""
        for scenario in self.scenarios:
            if name in (scenario.id, scenario.label):
                return scenario
        known = ", ".join(f"{s.id} ({s.label})" for s in self.scenarios[:6])
        raise InputError(f"there is no scenario {name!r}; the first are {known}")

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads, and what others want to read without us."""
        return {
            "format": _FORMAT,
            "name": self.name,
            "root": str(self.root),
            "axes": {axis: list(labels) for axis, labels in self.axes.items()},
            "scenarios": [
                {"id": s.id, "label": s.label, "values": s.values} for s in self.scenarios
            ],
            "base": self.base,
            "seeds": list(self.seeds),
            "metrics": list(self.metrics),
            "versions": self.versions,
            "inputs": self.inputs,
            "document": self.document,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any], *, at: str = "spec.json") -> "Spec":
        """Return the study that `to_json` was of; files are not read again."""
        try:
            if found["format"] != _FORMAT:
                raise FormatError(f"{at}: expected format {_FORMAT}, got {found['format']}")
            return _spec(
                cast("dict[str, Any]", found["document"]),
                Path(found["root"]),
                dict(found["inputs"]),
                dict(found["versions"]),
                at,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"{at} is no study: {error!r}; run the study again") from error

    def at(self, root: Path | str | None) -> "Spec":
        """Return the study with its inputs in another folder; None: where they are."""
        return self if root is None else replace(self, root=Path(root).resolve())

    def same_as(self, other: "Spec") -> str | None:
        """Return what differs from another study, in words; None: they give the same numbers.

        Where the files lie does not matter, only what they are.
        """
        for what, mine, theirs in (
            ("the study", self.document, other.document),
            ("an input", self.inputs, other.inputs),
            ("a library's version", self.versions, other.versions),
        ):
            if mine == theirs:
                continue
            for key in [*mine, *theirs]:
                if mine.get(key) != theirs.get(key):
                    return f"{what} differs: {key} is {_short(mine.get(key))}, there " + _short(
                        theirs.get(key)
                    )
        return None

    def check_inputs(self) -> None:
        """Raise `InputError` if a file is gone or is not what it was."""
        for name, known in self.inputs.items():
            if fingerprint(self.root / name, name) != known:
                raise InputError(
                    f"{name} is not what it was when the study began (SHA-256 {known[:12]}…); "
                    "put it back, or start the study in a new folder"
                )
        for name, was in self.versions.items():
            if (now := _versions().get(name)) != was:
                raise InputError(
                    f"the study began with {name} {was}, here is {now}: figures may differ in the "
                    f"last digits; install {name} {was}, or start the study in a new folder"
                )


def load(path: Path | str, *, root: Path | str | None = None) -> Spec:
    """Read a study file (TOML), or the study of a run folder, and check all of it.

    `root`: where the paths in it start from; by default the file's own folder, or what that was
    when the run folder was made. Raises `FormatError` or `InputError` naming the file and the path
    of the key.
    """
    path = Path(path)
    if path.is_dir():
        from gridtwin.study.folder import read_spec

        spec = read_spec(path).at(root)
        spec.check_inputs()
        return spec
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise FormatError(f"there is no file {str(path)!r}; 'gridtwin study new' writes one") from (
            error
        )
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is no text: {error}; a study is a TOML file") from error
    return parse(text, root=path.parent if root is None else root, at=str(path))


def parse(text: str, *, root: Path | str = ".", at: str = "study") -> Spec:
    """Return the study of a text; paths in it start from `root`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{at} is no TOML: {error}") from error
    return _spec(_plain(document), Path(root).resolve(), None, _versions(), at)


def _spec(
    document: dict[str, Any],
    root: Path,
    inputs: dict[str, str] | None,
    versions: dict[str, str],
    at: str,
) -> Spec:
    try:
        head = _Head.model_validate(document)
    except ValidationError as error:
        raise InputError(f"{at}: {told(error, _Head, '', {}, document)}") from error
    try:
        axes = axes_of(document, TABLES)
        seeds = _seeds(head.seeds)
        _few(axes, len(seeds))
        scenarios = tuple(_scenarios(document, axes))
        feedback = None
        if head.feedback is not None:
            feedback = checked(Feedback, head.feedback, "feedback")
        spec = Spec(
            name=head.name,
            document=document,
            root=root,
            axes={axis.name: axis.labels for axis in axes},
            scenarios=scenarios,
            base=_base(head.base, axes, scenarios),
            seeds=seeds,
            metrics=_metrics(head.metrics),
            feedback=feedback,
            inputs=_inputs(scenarios, root) if inputs is None else inputs,
            versions=versions,
        )
    except InputError as error:
        raise type(error)(f"{at}: {error}") from error
    return spec


def _seeds(given: int | list[int]) -> tuple[int, ...]:
    seeds = tuple(range(given)) if isinstance(given, int) else tuple(given)
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise InputError(f"seeds: expected how many, or different numbers from 0, got {given}")
    return seeds


def _few(axes: tuple[Axis, ...], seeds: int) -> None:
    runs = seeds
    for axis in axes:
        runs *= len(axis.labels)
    if runs > _MOST_RUNS:
        sizes = " x ".join(f"{len(axis.labels)} {axis.name}" for axis in axes)
        raise InputError(
            f"{sizes} x {seeds} seeds are {runs:,} runs, above {_MOST_RUNS:,}; "
            "split the study into several"
        )


def _scenarios(document: dict[str, Any], axes: tuple[Axis, ...]) -> Iterator[Scenario]:
    if "workload" not in document:
        raise InputError("workload: missing; give a [workload] with records, model or example")
    for k, (values, tables) in enumerate(products(document, axes, TABLES)):
        yield Scenario(f"s{k:03d}", values, **cast("dict[str, Any]", tables))


def _base(given: dict[str, Any], axes: tuple[Axis, ...], scenarios: tuple[Scenario, ...]) -> str:
    wanted = {axis.name: axis.labels[0] for axis in axes}
    for name, value in given.items():
        if name not in wanted:
            known = ", ".join(wanted) or "none"
            raise InputError(f"base.{name}: there is no such axis; the axes are {known}")
        labels = next(axis.labels for axis in axes if axis.name == name)
        label = f"{value:g}" if isinstance(value, float) else str(value)
        if label not in labels:
            raise InputError(f"base.{name}: expected one of {', '.join(labels)}, got {value!r}")
        wanted[name] = label
    return next(s.id for s in scenarios if s.values == wanted)


def _metrics(given: list[str] | None) -> tuple[str, ...]:
    for k, name in enumerate(given or []):
        if name not in METRICS:
            raise InputError(f"metrics[{k}]: expected some of {', '.join(METRICS)}, got {name!r}")
    return tuple(METRICS if given is None else dict.fromkeys(given))


def _inputs(scenarios: tuple[Scenario, ...], root: Path) -> dict[str, str]:
    """Return the fingerprint of each file and folder that any scenario reads."""
    found: dict[str, str] = {}
    for scenario in scenarios:
        for table in TABLES:
            for at, name in _sources(getattr(scenario, table), table):
                if name not in found:
                    found[name] = fingerprint(root / name, at)
    return dict(sorted(found.items()))


def _sources(table: BaseModel, at: str) -> Iterator[tuple[str, str]]:
    for key, about in type(table).model_fields.items():
        value = getattr(table, key)
        if SOURCE in about.metadata and value is not None:
            yield f"{at}.{key}", value
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, BaseModel):
                yield from _sources(one, f"{at}.{key}")


def fingerprint(path: Path, at: str) -> str:
    """Return the SHA-256 of a file, or of a folder's names and files; raise if it is not there."""
    if path.is_file():
        return sha256(path)
    if not path.is_dir():
        raise InputError(f"{at}: there is no file or folder {str(path)!r}")
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\n".encode())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    return {"gridtwin": gridtwin.__version__} | {name: version(name) for name in _LIBRARIES}


def _plain(value: Any) -> Any:  # noqa: ANN401 - any TOML value
    """Return the value in types that JSON has: dates as text."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _short(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"
