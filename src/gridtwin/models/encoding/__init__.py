"""The typed encoder that all models of rows share, its views, and their base class."""

from gridtwin.models.encoding.encoder import CHUNK, Cells, Encoder
from gridtwin.models.encoding.instants import with_instants
from gridtwin.models.encoding.rows import RowModel

__all__ = ["CHUNK", "Cells", "Encoder", "RowModel", "with_instants"]
