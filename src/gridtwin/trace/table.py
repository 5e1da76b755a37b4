"""The table of jobs that every part of gridtwin takes and gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from gridtwin.core.errors import SchemaError
from gridtwin.trace.schema import TraceSchema

__all__ = ["JobTable", "Provenance"]


@dataclass(frozen=True)
class Provenance:
    """Where a table comes from and what was lost on the way."""

    source: str = "memory"
    """Path, database or model that the rows come from."""
    format: str = "memory"
    rows_read: int = 0
    """Record lines in the source, well-formed or not."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows that were not kept, by reason."""
    sha256: str = ""
    """Of the source's bytes."""
    machine_cores: int | None = None
    """Size of the machine, where the source states it."""
    notes: tuple[str, ...] = ()
    """What was repaired, assumed or noticed, a sentence each."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON; ``rows_kept`` + the sum of ``dropped`` = ``rows_read``."""
        return {
            "source": self.source,
            "format": self.format,
            "rows_read": self.rows_read,
            "rows_kept": self.rows_read - sum(self.dropped.values()),
            "dropped": dict(self.dropped),
            "sha256": self.sha256,
            "machine_cores": self.machine_cores,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Provenance":
        """Undo `to_json`; keys it does not know are left out."""
        names = ("source", "format", "rows_read", "sha256", "machine_cores")
        known = {k: values[k] for k in names if k in values}
        return cls(
            **known,
            dropped=dict(values.get("dropped", {})),
            notes=tuple(values.get("notes", ())),
        )


@dataclass(frozen=True)
class JobTable:
    """Jobs, one a row: a Polars lazy frame of canonical fields and where they come from.

    `frame` has a subset of the canonical columns, in canonical order and with canonical types;
    rows are in order of ``submit_time`` where there is one. It is plain Polars: filter, join and
    aggregate with that.
    """

    frame: pl.LazyFrame
    provenance: Provenance = field(default_factory=Provenance)

    @classmethod
    def from_frame(
        cls, frame: pl.DataFrame | pl.LazyFrame, provenance: Provenance | None = None
    ) -> "JobTable":
        """Check names, cast types and order rows of a frame that already has canonical names.

        Raises `SchemaError` for unknown columns, for columns that cannot be cast and when there
        is no ``job_id``.
        """
        lazy = frame.lazy()
        schema = TraceSchema.canonical()
        present = lazy.collect_schema().names()
        unknown = [name for name in present if name not in schema]
        if unknown:
            raise SchemaError(
                f"columns {', '.join(map(repr, unknown))} are no canonical fields; "
                f"rename or drop them (fields: {', '.join(schema.names)})"
            )
        if "job_id" not in present:
            raise SchemaError("a job table needs the column 'job_id'; add one, unique per row")
        lazy = lazy.select(pl.col(f.name).cast(f.polars) for f in schema.select(present))
        if "submit_time" in present:
            lazy = lazy.sort("submit_time", maintain_order=True)
        return cls(lazy, provenance or Provenance())

    @property
    def schema(self) -> TraceSchema:
        """The canonical fields that this table has."""
        return TraceSchema.canonical().select(self.columns)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.frame.collect_schema().names()

    def __contains__(self, column: object) -> bool:
        return column in self.columns

    def __len__(self) -> int:
        return int(self.frame.select(pl.len()).collect().item())

    def collect(self, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """Return the rows in memory; only these columns where given."""
        return (self.frame if columns is None else self.frame.select(list(columns))).collect()

    def require(self, *columns: str, for_what: str) -> None:
        """Raise `SchemaError` naming what is missing, unless all columns are there."""
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise SchemaError(
                f"{for_what} needs the columns {', '.join(columns)}; "
                f"{', '.join(missing)} not in this table ({', '.join(self.columns)})"
            )

    def with_frame(self, frame: pl.DataFrame | pl.LazyFrame, *notes: str) -> "JobTable":
        """Return a table of other rows with the same provenance and these notes added."""
        provenance = replace(self.provenance, notes=(*self.provenance.notes, *notes))
        return JobTable(frame.lazy(), provenance)
