"""The canonical schema of job records, read from ``fields.toml``."""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal, Self

import polars as pl

from gridtwin.core.errors import SchemaError

__all__ = ["Field", "TraceSchema"]

DType = Literal["str", "int", "float", "list"]
Kind = Literal["id", "category", "number", "time"]
Known = Literal["submit", "start", "end"]

_POLARS: dict[DType, pl.DataType] = {
    "str": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "list": pl.List(pl.String()),
}


@dataclass(frozen=True)
class Field:
    """One canonical field: its type, its unit, what it means and when it is known."""

    name: str
    dtype: DType
    kind: Kind
    known: Known
    """The instant from which a policy may see the field."""
    meaning: str
    unit: str = ""
    nullable: bool = True
    source: dict[str, str] = field(default_factory=dict, compare=False)
    """The column of each source format, where there is one."""

    @property
    def polars(self) -> pl.DataType:
        """The Polars type of the column."""
        return _POLARS[self.dtype]


@dataclass(frozen=True)
class TraceSchema:
    """An ordered set of fields; iterate over it, or ask for one by name."""

    fields: tuple[Field, ...]

    @classmethod
    @cache
    def canonical(cls) -> Self:
        """All fields that gridtwin knows."""
        text = files("gridtwin.trace").joinpath("fields.toml").read_text(encoding="utf-8")
        return cls(tuple(Field(name=name, **spec) for name, spec in tomllib.loads(text).items()))

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        return any(f.name == name for f in self.fields)

    def __getitem__(self, name: str) -> Field:
        for f in self.fields:
            if f.name == name:
                return f
        raise SchemaError(f"no field {name!r}; the fields are: {', '.join(self.names)}")

    @property
    def names(self) -> list[str]:
        """The names of the fields, in order."""
        return [f.name for f in self.fields]

    def select(self, names: Iterable[str]) -> "TraceSchema":
        """Return the schema of these fields, in canonical order; an unknown name is an error."""
        wanted = {self[name].name for name in names}
        return TraceSchema(tuple(f for f in self.fields if f.name in wanted))

    def known(self, by: Known) -> list[str]:
        """Return the names of the fields that are known at submit, at start or at the end."""
        order = ("submit", "start", "end")
        return [f.name for f in self.fields if order.index(f.known) <= order.index(by)]
