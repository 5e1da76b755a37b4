"""The typed encoder of row models: a frame of jobs as cells and places, and back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.models.base import State
from gridtwin.models.encoding.columns import Column, leaders, read_columns
from gridtwin.models.encoding.instants import without_instants
from gridtwin.models.encoding.name import Name
from gridtwin.models.encoding.number import Number
from gridtwin.models.encoding.relative import Kind, Relative
from gridtwin.trace import TraceSchema

__all__ = ["CHUNK", "Cells", "Coder", "Encoder"]

Floats = NDArray[np.float64]
Coder = Number | Name | Relative
CHUNK = 200_000
"""Rows encoded and decoded at a time."""
_NOT_ENCODED = ("job_id", "parent_id")
_SYSTEM_WORDS = ("status", "raw_status", "error_codes")
"""Columns whose words name a state, not somebody: given out however rare."""
_LEADER_SHARED = 0.1
"""A column with more of its rows in shared cells than this leads no other."""
_LEADER_ROWS = 100
"""In fewer rows than this, what looks like a dependency is often chance."""
_BASES: dict[str, tuple[Kind, tuple[tuple[str, ...], ...]]] = {
    "run_time": ("limit", (("walltime_req",),)),
    "cpu_time": ("product", (("cores_alloc", "run_time"), ("cores_req", "run_time"))),
    "work": ("product", (("cpu_time", "core_power"),)),
}
"""What bounds a column: the first of these products of which all columns are there."""


@dataclass(frozen=True)
class Cells:
    """Encoded rows: the cell of each column, and the place in it from 0 to 1; both (n, columns)."""

    cell: NDArray[np.int32]
    place: Floats

    def __len__(self) -> int:
        return len(self.cell)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that `from_arrays` takes."""
        return {"cell": self.cell, "place": self.place}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """Undo `to_arrays`."""
        return cls(arrays["cell"], arrays["place"])

    def __getitem__(self, rows: slice | NDArray[np.integer[Any]]) -> "Cells":
        return Cells(self.cell[rows], self.place[rows])


@dataclass(frozen=True)
class Follower:
    """A column that another one determines: its value for each value of the leader."""

    leader: str
    name: str
    keys: Floats
    """The leader's values, rising, NaN last."""
    values: Floats
    coder: Name | None
    """Of a text; None for a number."""

    def decode(self, leader: Floats) -> Floats:
        """Return the values that go with the leader's."""
        known = self.keys[~np.isnan(self.keys)]
        if not len(known):
            return np.full(len(leader), self.values[0])
        near = np.clip(np.searchsorted(known, np.nan_to_num(leader)), 0, len(known) - 1)
        missing = np.isnan(leader) & (len(self.keys) > len(known))
        return self.values[np.where(missing, len(known), near)]


@dataclass(frozen=True)
class Encoder:
    """Columns as cells and places in them, for models of rows.

    - A *cell* is one value that repeats (an atom: at least 10 rows, or n/1500), a range of values
      between two quantiles, a bucket of names that are about as frequent, or having no value. A
      model that gets the cells right gets the marginals right, atoms included.
    - A column that another one determines in all rows (`columns.leaders`; looked for in 100 rows or
      more, the leader with at most a tenth of its rows in shared cells) is not encoded and comes
      back by look-up.
    - A run time is encoded relative to the requested time, cpu time to cores x run time, work to
      cpu time x core power: bounds that always held hold in what is decoded.
    - ``start_time``, ``end_time`` and ``eligible_time`` are differences (`with_instants`).
    - Names of fewer than five rows are replaced by made-up ones; ``job_id`` is numbered anew,
      ``parent_id`` is left empty.

    Rows that are encoded and decoded again are the same, but for made-up names, the last digits
    of loose numbers, and values that break a bound which the training rows keep.
    """

    output: tuple[str, ...]
    """The columns of the frame that `finish` returns."""
    coders: dict[str, Coder]
    """Of each encoded column, in order of encoding: known at submit, at start, at the end."""
    bases: dict[str, tuple[str, ...]]
    """The columns whose product bounds a column of a `Relative` coder."""
    followers: tuple[Follower, ...]

    @classmethod
    def fit(cls, frame: pl.DataFrame, output: Iterable[str], rng: np.random.Generator) -> Self:
        """Learn from a frame as `with_instants` returns it; `output` are the original columns."""
        known = ("submit", "start", "end")
        fields = [f for f in TraceSchema.canonical() if f.name in frame.columns]
        fields = sorted(fields, key=lambda f: known.index(f.known))
        columns = read_columns(frame, [f.name for f in fields if f.name not in _NOT_ENCODED])
        by = _order_by(columns, frame.height)
        names = {c.name: _name(c, by, rng) for c in columns if c.vocabulary is not None}
        led = _dependencies(columns, names)
        values = {c.name: c.values for c in columns}
        coders: dict[str, Coder] = {}
        bases: dict[str, tuple[str, ...]] = {}
        for name, own in values.items():
            if name in led:
                continue
            base = _base(name, [*coders, *(f for f, leader in led.items() if leader in coders)])
            if name in names:
                coders[name] = names[name]
            elif base:
                kind = _BASES[name][0]
                coders[name] = Relative.fit(own, _product(values, base), kind)
                bases[name] = base
            else:
                linear = TraceSchema.canonical()[name].kind == "time"
                coders[name] = Number.fit(own, linear=linear)
        followers = tuple(
            Follower(leader, name, *_lookup(values[leader], values[name]), names.get(name))
            for name, leader in led.items()
        )
        return cls(tuple(output), coders, bases, followers)

    @property
    def names(self) -> tuple[str, ...]:
        """The encoded columns."""
        return tuple(self.coders)

    def encode(self, frame: pl.DataFrame) -> Cells:
        """Return the cells of a frame as `with_instants` returns it, in the fitted columns.

        Memory: 12 bytes a row and column, and the arrays of one chunk. What was not seen at fit
        goes to the nearest cell; a name not seen to one of the rarest.
        """
        cell = np.empty((frame.height, len(self.coders)), dtype=np.int32)
        place = np.empty(cell.shape)
        for begin in range(0, frame.height, CHUNK):
            rows = slice(begin, min(begin + CHUNK, frame.height))
            part = read_columns(frame[rows], self._read())
            columns = {c.name: c for c in part}
            values = {c.name: c.values for c in part}
            for k, (name, coder) in enumerate(self.coders.items()):
                own = values[name]
                if isinstance(coder, Name):
                    own = coder.index(columns[name].vocabulary or (), own)
                    cell[rows, k], place[rows, k] = coder.encode(own)
                elif isinstance(coder, Relative):
                    base = _product(values, self.bases[name])
                    cell[rows, k], place[rows, k] = coder.encode(own, base)
                else:
                    cell[rows, k], place[rows, k] = coder.encode(own)
        return Cells(cell, place)

    def _read(self) -> list[str]:
        bases = {name for base in self.bases.values() for name in base}
        return list(dict.fromkeys([*self.coders, *sorted(bases)]))

    def decode(self, cells: Cells, rng: np.random.Generator) -> pl.DataFrame:
        """Return the rows of some cells, all encoded columns and those that follow them.

        `rng` is used where a cell cannot be (a share of an unknown request). A chunk at a time
        keeps memory bounded; `finish` joins them.
        """
        values: dict[str, Floats] = {}
        out: list[pl.Series] = []
        for k, (name, coder) in enumerate(self.coders.items()):
            cell, place = cells.cell[:, k], cells.place[:, k]
            if isinstance(coder, Relative):
                base = _product(values, self.bases[name])
                values[name] = coder.decode(cell, place, base, rng)
            else:
                values[name] = coder.decode(cell, place)
            out.append(_give(name, values[name], coder))
            for f in self.followers:
                if f.leader == name:
                    values[f.name] = f.decode(values[name])
                    out.append(_give(f.name, values[f.name], f.coder))
        return pl.DataFrame(out) if out else pl.DataFrame({"none": np.zeros(len(cells))})

    def finish(self, parts: list[pl.DataFrame]) -> pl.DataFrame:
        """Return decoded rows as one frame of the original columns, in order of submit."""
        frame = pl.concat(parts)
        if "submit_time" in frame.columns:
            frame = frame.sort("submit_time", maintain_order=True)
        ids = pl.int_range(1, frame.height + 1, eager=True).cast(pl.String)
        frame = frame.with_columns(job_id=ids, parent_id=pl.lit(None, dtype=pl.String))
        return without_instants(frame, list(self.output))

    def state(self) -> State:
        """Return what fits into JSON, and arrays."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, coder in self.coders.items():
            arrays |= coder.to_arrays(f"encoder.{name}")
        for f in self.followers:
            arrays[f"encoder.{f.name}.keys"], arrays[f"encoder.{f.name}.values"] = f.keys, f.values
            if f.coder is not None:
                arrays |= f.coder.to_arrays(f"encoder.{f.name}")
        meta = {
            "output": list(self.output),
            "coders": {name: type(coder).__name__ for name, coder in self.coders.items()},
            "bases": {name: list(base) for name, base in self.bases.items()},
            "followers": [[f.leader, f.name, f.coder is not None] for f in self.followers],
        }
        return meta, arrays

    @classmethod
    def restore(cls, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        coders: dict[str, Coder] = {}
        for name, kind in meta["coders"].items():
            prefix = f"encoder.{name}"
            if kind == "Relative":
                coders[name] = Relative.from_arrays(prefix, arrays, _BASES[name][0])
            else:
                coder: type[Name] | type[Number] = Name if kind == "Name" else Number
                coders[name] = coder.from_arrays(prefix, arrays)
        followers = []
        for leader, name, text in meta["followers"]:
            prefix = f"encoder.{name}"
            own = Name.from_arrays(prefix, arrays) if text else None
            pair = arrays[f"{prefix}.keys"], arrays[f"{prefix}.values"]
            followers.append(Follower(leader, name, *pair, own))
        bases = {name: tuple(base) for name, base in meta["bases"].items()}
        return cls(tuple(meta["output"]), coders, bases, tuple(followers))


def _name(column: Column, by: Floats, rng: np.random.Generator) -> Name:
    prefix = None if column.name in _SYSTEM_WORDS else column.name
    return Name.fit(column.values, column.vocabulary or (), by, rng, prefix=prefix)


def _order_by(columns: list[Column], n: int) -> Floats:
    """Return what names are ordered by: the mean rank (0 to 1) of all numbers but instants."""
    ranks = [
        column.codes() / max(1, int(column.codes().max()))
        for column in columns
        if column.vocabulary is None and TraceSchema.canonical()[column.name].kind != "time"
    ]
    return np.mean(ranks, axis=0) if ranks else np.zeros(n)


def _dependencies(columns: list[Column], names: dict[str, Name]) -> dict[str, str]:
    """Return the leader of each column that another one determines."""
    if not columns or len(columns[0]) < _LEADER_ROWS:
        return {}
    able = [c for c in columns if c.name not in names or names[c.name].shared <= _LEADER_SHARED]
    return leaders(able, fixed="user")


def _base(name: str, there: list[str]) -> tuple[str, ...]:
    """Return the columns that bound a column, if all of them are there."""
    for base in _BASES.get(name, ("limit", ()))[1]:
        if all(other in there for other in base):
            return base
    return ()


def _product(values: dict[str, Floats], base: tuple[str, ...]) -> Floats:
    out = values[base[0]]
    for name in base[1:]:
        out = out * values[name]
    return out


def _lookup(leader: Floats, follower: Floats) -> tuple[Floats, Floats]:
    keys, first = np.unique(leader, return_index=True)
    return keys, follower[first]


def _give(name: str, values: Floats, coder: Coder | None) -> pl.Series:
    vocabulary = coder.public if isinstance(coder, Name) else None
    return Column(name, values, vocabulary).give(values)
