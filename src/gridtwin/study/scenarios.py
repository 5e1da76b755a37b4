"""What a scenario is made of, as tables of a study file, and how lists make scenarios.

Every list is an axis, and a scenario is one choice on each: ``broker = ["random", "olb"]`` in
``[policy]`` is the axis ``broker``, several ``[[whatif]]`` are the axis ``whatif``. What is a list
by itself (``origin``, ``without_users``) is an axis when it is a list of lists.
"""

import difflib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from gridtwin.core.errors import GridtwinError, InputError
from gridtwin.models.whatif import WhatIf as Asked
from gridtwin.sim.brokers import check_broker
from gridtwin.sim.policies import resolve
from gridtwin.sim.units import Kind, quantity
from gridtwin.trace import examples

__all__ = [
    "SOURCE",
    "Axis",
    "FaultsTable",
    "Name",
    "PlatformTable",
    "PolicyTable",
    "Seconds",
    "Table",
    "WorkloadTable",
    "axes_of",
    "checked",
    "products",
    "quantities",
    "told",
]

SOURCE = "a file or folder that is read"
"""Marks the fields whose files are fingerprinted."""


class Table(BaseModel):
    """A table of a study file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    lists: ClassVar[frozenset[str]] = frozenset()
    """Keys whose value is a list by itself."""
    name: str | None = None
    """What the choice is called, where there are several tables."""


def _raising(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Turn our errors into those that pydantic tells with the key's path."""

    def checking(value: Any) -> Any:  # noqa: ANN401 - any value of a file
        try:
            return check(value)
        except GridtwinError as error:
            raise ValueError(str(error)) from error

    return checking


def _broker(name: str) -> str:
    check_broker(name)
    return name


def _queue(found: str | dict[str, str]) -> str | dict[str, str]:
    for name in [found] if isinstance(found, str) else found.values():
        resolve(name)
    return found


def _example(name: str) -> str:
    if name not in examples.names():
        raise InputError(f"there is no example {name!r}; known: {', '.join(examples.names())}")
    return name


def _number(value: object) -> float:
    """Return a number; TOML's whole numbers are numbers too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic wants a ValueError
    return float(value)


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Days = Annotated[Number, Field(gt=0, le=36_525)]


def quantities(kind: Kind) -> BeforeValidator:
    """Return what reads a number or a text with a unit."""
    return BeforeValidator(_raising(lambda value: quantity(value, kind)))


Seconds = Annotated[float, quantities("time")]
Name = Annotated[str, Field(min_length=1)]
Broker = Annotated[str, AfterValidator(_raising(_broker))]
Queue = Annotated[str | dict[str, str], AfterValidator(_raising(_queue))]


class WorkloadTable(Table):
    """``[workload]``: the jobs; one of `records`, `model` and `example`."""

    lists: ClassVar[frozenset[str]] = frozenset({"origin", "without_users"})
    records: Annotated[str | None, SOURCE] = None
    """A file or folder of any format that `gridtwin.read` knows."""
    model: Annotated[str | None, SOURCE] = None
    """A folder that ``gridtwin train`` wrote."""
    example: Annotated[str, AfterValidator(_raising(_example))] | None = None
    days: Days | None = None
    """Of records and models: only so many; of the example: how many (7)."""
    skip_days: Annotated[Number, Field(ge=0)] = 0.0
    """Of records: days left out at the beginning."""
    scale: Positive = 1.0
    """Of the example ``panda``: fraction of its load."""
    jobs: Annotated[int, Field(ge=1)] | None = None
    """Of a model or the example ``lublin``: how many."""
    seed: Annotated[int, Field(ge=0)] = 0
    start: str | float | None = None
    """Of a model, as are `rate`, `where`, `mix` and `without_users`: see `Surrogate.sample`."""
    rate: Positive = 1.0
    where: dict[str, Any] = {}
    mix: dict[str, dict[str, float]] = {}
    without_users: list[str] = []
    replicate: Literal["fixed", "days", "new"] | None = None
    """What a seed changes of the jobs: nothing, whole days drawn anew with replacement, or all:
    another trace of the model (by default) or the example (by default)."""
    replicas: Annotated[str | None, SOURCE] = None
    """Parquet; so `files` and `parents`: see `gridtwin.sim.demand.demand`."""
    files: Annotated[str | None, SOURCE] = None
    parents: Annotated[str | None, SOURCE] = None
    local: Annotated[str | None, SOURCE] = None
    """Jobs of others, at their own sites."""
    origin: list[str] = []
    stream: bool = False
    walltime: bool = False
    then: "WorkloadTable | None" = None
    """Jobs that follow when these end."""

    @property
    def source(self) -> Literal["records", "model", "example"]:
        """Which of the three it is."""
        return "records" if self.records else "model" if self.model else "example"

    @property
    def drawn(self) -> Literal["fixed", "days", "new"]:
        """What a seed changes."""
        return self.replicate or ("fixed" if self.source == "records" else "new")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        given = [key for key in ("records", "model", "example") if getattr(self, key)]
        if len(given) != 1:
            raise ValueError(
                f"expected one of records, model and example, got {' and '.join(given) or 'none'}"
            )
        source = self.source
        only = {
            "skip_days": ("records",),
            "scale": ("example",),
            "jobs": ("model", "example"),
            **dict.fromkeys(("start", "rate", "where", "mix", "without_users"), ("model",)),
        }
        for key, sources in only.items():
            if key in self.model_fields_set and source not in sources:
                raise ValueError(f"{key} goes with {' or '.join(sources)}, not with {source}")
        if source == "records" and self.drawn == "new":
            raise ValueError("records cannot be drawn anew; replicate is fixed or days here")
        if self.drawn != "fixed" and (self.files or self.parents):
            raise ValueError("files and parents name jobs, so that replicate has to be fixed")
        if source == "model":
            try:
                Asked.of(
                    days=self.days,
                    start=self.start,
                    rate=self.rate,
                    where=self.where,
                    mix=self.mix,
                    without_users=self.without_users,
                )
            except InputError as error:
                raise ValueError(str(error)) from error
        return self


class PlatformTable(Table):
    """``[platform]``: one of its sources, else as the records have it.

    Where it is sized by jobs, those are the base scenario's before the what-if.
    """

    file: Annotated[str | None, SOURCE] = None
    """Of any form that ``gridtwin platform convert`` reads."""
    cores: Annotated[int, Field(ge=1)] | None = None
    """One machine."""
    observed: bool = False
    """The records' sites, each as large as it was used."""
    example: Literal["panda"] | None = None
    """A grid like WLCG with as many cores as the jobs had in use at the same time."""
    calibration: Annotated[str | None, SOURCE] = None
    """A folder that ``gridtwin calibrate`` wrote; its delays and pilots are used too."""
    share: Positive = 1.0
    """Of each pool's cores, at least the widest job's of the base."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        keys = ("file", "cores", "observed", "example", "calibration")
        if len(given := [key for key in keys if getattr(self, key)]) > 1:
            raise ValueError(f"expected one of {', '.join(keys)}, got {' and '.join(given)}")
        return self


class PolicyTable(Table):
    """``[policy]``: who runs where and when."""

    broker: Broker = "least_loaded"
    queue: Queue | None = None
    """A policy, or a table of sites; see `gridtwin.simulate`."""


class FaultsTable(Table):
    """``[faults]``: what goes wrong, and who tries again."""

    observed: bool = False
    """Each site's chance of a failure and the error codes are those of the base's records."""
    file: Annotated[str | None, SOURCE] = None
    """As ``gridtwin simulate --failures`` takes it."""
    chance: Share | None = None
    attempts: Annotated[int, Field(ge=1, le=255)] | None = None
    retry_delay: Seconds | None = None
    elsewhere: Share | None = None
    again: Share | None = None
    outages: Annotated[str | None, SOURCE] = None
    """A calendar in the clock of the jobs."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.observed + (self.file is not None) + (self.chance is not None) > 1:
            raise ValueError("expected one of observed, file and chance, got several")
        return self


@dataclass(frozen=True)
class Axis:
    """A list of a study file."""

    name: str
    """The key; ``table.key`` where two axes have one key, ``table`` for several tables."""
    table: str
    key: str
    """Empty: the choices are whole tables."""
    labels: tuple[str, ...]
    choices: tuple[Any, ...] = field(repr=False)


def axes_of(document: Mapping[str, Any], tables: Mapping[str, type[Table]]) -> tuple[Axis, ...]:
    """Return the axes of a document, in order; raises `InputError` naming the key's path."""
    found = []
    for table, model in tables.items():
        given = document.get(table, {})
        if isinstance(given, list):
            found.append(Axis(table, table, "", _names(table, given, model), tuple(given)))
        elif not isinstance(given, dict):
            raise InputError(f"{table}: expected a table, got {given!r}")
        else:
            for key, value in _lists(given, model):
                labels = tuple(map(_label, value))
                _distinct(f"{table}.{key}", labels)
                found.append(Axis(key, table, key, labels, tuple(value)))
    names = [axis.name for axis in found]
    return tuple(
        Axis(f"{a.table}.{a.key}", a.table, a.key, a.labels, a.choices)
        if names.count(a.name) > 1 and a.key
        else a
        for a in found
    )


def products(
    document: Mapping[str, Any], axes: tuple[Axis, ...], tables: Mapping[str, type[Table]]
) -> Iterator[tuple[dict[str, str], dict[str, Table]]]:
    """Yield the label on each axis and the checked tables of each scenario, the last axis first."""
    known: dict[tuple[Any, ...], Table] = {}
    for picks in itertools.product(*(range(len(axis.labels)) for axis in axes)):
        built = {}
        for table, model in tables.items():
            mine = [(a, k) for a, k in zip(axes, picks, strict=True) if a.table == table]
            at = (table, *(k for _, k in mine))
            if at not in known:
                known[at] = _build(document.get(table, {}), table, model, mine)
            built[table] = known[at]
        yield {a.name: a.labels[k] for a, k in zip(axes, picks, strict=True)}, built


def _build(given: Any, table: str, model: type[Table], picks: list[tuple[Axis, int]]) -> Table:  # noqa: ANN401
    """Check a table with a choice on each of its axes."""
    values, number = given, ""
    indices: dict[str, int] = {}
    for axis, k in picks:
        if axis.key:
            values = {**values, axis.key: axis.choices[k]}
            indices[axis.key] = k
        else:
            values, number = axis.choices[k], f"[{k}]"
    built: Table = checked(model, values, f"{table}{number}", indices)
    return built


def checked(
    model: type[Table], values: object, at: str, indices: Mapping[str, int] | None = None
) -> Any:  # noqa: ANN401 - an instance of the model
    """Return the model of a table, or raise `InputError` naming the key's path."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InputError(told(error, model, at, indices or {}, values)) from error


def told(
    error: ValidationError,
    model: type[BaseModel],
    at: str,
    indices: Mapping[str, int],
    values: Any,  # noqa: ANN401 - what was given
) -> str:
    """Return one sentence on the first thing that is wrong: where, what was expected, what came."""
    first = error.errors(include_url=False)[0]
    path = at
    for k, part in enumerate(first["loc"]):
        if isinstance(part, int):
            if isinstance(values, list | tuple):  # else one that stands for a list of one
                path, values = f"{path}[{part}]", values[part] if part < len(values) else None
        elif not isinstance(values, dict) or (part not in values and first["type"] != "missing"):
            continue  # which of several types pydantic tried
        else:
            path, values = f"{path}.{part}" if path else part, values.get(part)
            if k == 0 and part in indices:
                path += f"[{indices[part]}]"
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        known = _fields(model, first["loc"][:-1])
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
        return f"{path}: unknown key; {hint}"
    text = first["msg"].removeprefix("Value error, ")
    text = text[:1].lower() + text[1:]
    came = first["input"]
    return f"{path}: {text}" + ("" if isinstance(came, dict | BaseModel) else f", got {came!r}")


def _fields(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the table at a place of another."""
    for part in loc:
        annotation = (
            model.model_fields[str(part)].annotation if part in model.model_fields else None
        )
        for kind in (annotation, *getattr(annotation, "__args__", ())):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
                break
    return list(model.model_fields)


def _lists(given: Mapping[str, Any], model: type[Table]) -> Iterator[tuple[str, list[Any]]]:
    for key, value in given.items():
        if not isinstance(value, list):
            continue
        if key not in model.lists or (value and all(isinstance(one, list) for one in value)):
            yield key, value


def _names(table: str, given: list[Any], model: type[Table]) -> tuple[str, ...]:
    labels = []
    for k, one in enumerate(given):
        if not isinstance(one, dict):
            raise InputError(f"{table}[{k}]: expected a table, got {one!r}")
        for key, _ in _lists(one, model):
            raise InputError(
                f"{table}[{k}].{key}: a list in one of several tables; write a [[{table}]] for each"
            )
        if not isinstance(name := one.get("name", f"{table} {k}"), str):
            raise InputError(f"{table}[{k}].name: expected a text, got {name!r}")
        labels.append(name)
    _distinct(table, tuple(labels))
    return tuple(labels)


def _label(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _distinct(path: str, labels: tuple[str, ...]) -> None:
    if not labels:
        raise InputError(f"{path}: an empty list; give one choice or more")
    for k, label in enumerate(labels):
        if label in labels[:k]:
            raise InputError(f"{path}[{k}]: {label!r} is there already; give each choice once")
