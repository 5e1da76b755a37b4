"""Add a reader: whether a file is of the format, and its records in canonical columns."""

# --8<-- [start:reader]
from pathlib import Path

import polars as pl

from gridtwin.trace.readers import REJECT, Scan

COLUMNS = {"at": pl.Float64, "who": pl.String, "slots": pl.Float64, "seconds": pl.Float64}


def sniff(path: Path, head: str) -> bool:
    """Tell whether the first line is the one that our accounting writes."""
    return head.startswith("at;who;slots;seconds")


def scan(path: Path) -> Scan:
    """Read the jobs; a row without a run time cannot be kept, and says why."""
    table = pl.read_csv(path, separator=";", schema=COLUMNS)
    refused = pl.when(pl.col("seconds").is_null()).then(pl.lit("no run time"))
    frame = table.select(
        refused.alias(REJECT),
        submit_time="at",
        user="who",
        cores_req="slots",
        run_time="seconds",
    )
    return Scan(frame.lazy(), machine_cores=64, persons=("user",))


# --8<-- [end:reader]
# --8<-- [start:use]
import sys  # noqa: E402
from tempfile import TemporaryDirectory  # noqa: E402

import gridtwin  # noqa: E402
from gridtwin.trace.readers import readers  # noqa: E402

readers.add("accounting", sys.modules[__name__])  # a package says it by an entry point
with TemporaryDirectory() as folder:
    path = Path(folder) / "jobs.txt"
    path.write_text("at;who;slots;seconds\n0;ann;8;3600\n60;bob;16;\n90;ann;4;120\n")
    jobs = gridtwin.read(path)
    print(jobs.collect())
    print(jobs.provenance.format, dict(jobs.provenance.dropped))
# --8<-- [end:use]
