"""Job records: schema, table, readers, writers, derived columns, encoding, splits."""

from gridtwin.trace.schema import Field, TraceSchema
from gridtwin.trace.table import JobTable, Provenance

__all__ = ["Field", "JobTable", "Provenance", "TraceSchema"]
