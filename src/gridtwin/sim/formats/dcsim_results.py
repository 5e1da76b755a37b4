"""DCSim's result CSV: a row for each finished job, fields parted by a comma and a blank.

The times and sizes have the fields of jobs; what jobs have no field for is in a frame beside them:

- ``hit_rate``: the share of the input that came from a cache; null where there was no input.
- ``compute_time``, ``stage_in_time``, ``stage_out_time``: s of computing, reading and writing.
- ``flops``: as in the file. DCSim adds them up over a job's actions, so that a job that computes
  and writes one file shows twice its flops; they are not taken for the job's work.

Jobs carry no time of submission there; ``site`` is the machine.
"""

from pathlib import Path

import polars as pl

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.trace import JobTable, Provenance
from gridtwin.trace.readers import LINE, REJECT
from gridtwin.trace.readers._columns import numbers
from gridtwin.trace.readers._text import MALFORMED, read_table

__all__ = ["COLUMNS", "MEASURES", "read_results", "write_results"]

COLUMNS = {
    "job.tag": "job_id",
    "machine.name": "site",
    "hitrate": "hit_rate",
    "job.start": "start_time",
    "job.end": "end_time",
    "job.computetime": "compute_time",
    "job.flops": "flops",
    "infiles.transfertime": "stage_in_time",
    "infiles.size": "input_bytes",
    "outfiles.transfertime": "stage_out_time",
    "outfiles.size": "output_bytes",
}
"""The header and what each column is here; ``job.flops`` is missing in older files."""
MEASURES = ("job_id", "hit_rate", "compute_time", "flops", "stage_in_time", "stage_out_time")
"""Columns of the frame beside the jobs."""

_JOBS = ("job_id", "site", "start_time", "end_time", "input_bytes", "output_bytes")
_TEXTS = ("job_id", "site")
_NEVER = ("start_time", "end_time", "input_bytes", "output_bytes")


def read_results(path: Path | str) -> tuple[JobTable, pl.DataFrame]:
    """Read a result CSV into jobs and the frame of `MEASURES`, a row for each job.

    Rows that cannot be true are counted in the provenance: a malformed line, a word that is no
    number, a negative time or size, an end before the start, a tag that came before. Raises
    `FormatError` where the header is another one. Memory: about ten times the file.
    """
    path = Path(path)
    needs = [name for name in COLUMNS if name != "job.flops"]
    table = read_table(path, needs=needs, wants=COLUMNS, rename=str.strip)
    if more := [name for name in table.columns if name not in COLUMNS]:
        raise FormatError(
            f"{path} has the column {', '.join(more)}, which cannot be represented; known: "
            f"{', '.join(COLUMNS)}"
        )
    rows = table.frame.rename(COLUMNS)
    rows = numbers(rows, [name for name in COLUMNS.values() if name not in _TEXTS])
    bad = {
        "no job.tag": pl.col("job_id").is_null(),
        **{f"negative {name}": pl.col(name) < 0 for name in _NEVER},
        "end before start": pl.col("end_time") < pl.col("start_time"),
    }
    why = pl.coalesce(REJECT, *(pl.when(test).then(pl.lit(name)) for name, test in bad.items()))
    rows = rows.with_columns(why.alias(REJECT))
    good = pl.col(REJECT).is_null()
    again = good & pl.col("job_id").is_duplicated() & ~pl.col("job_id").is_first_distinct()
    rows = rows.with_columns(
        pl.when(again).then(pl.lit("duplicate job.tag")).otherwise(REJECT).alias(REJECT)
    ).sort(LINE)
    counts = dict(rows[REJECT].drop_nulls().value_counts().iter_rows())
    if rows.height and counts.get(MALFORMED) == rows.height:
        raise FormatError(f"{path} has no line of {len(table.columns)} fields")
    kept = rows.filter(good)
    measured = kept.select(
        pl.when(pl.col(name) >= 0).then(name) if name in ("hit_rate", "compute_time") else name
        for name in MEASURES
    )
    jobs = kept.select(_JOBS).with_columns(
        run_time=pl.col("end_time") - pl.col("start_time"), status=pl.lit("finished")
    )
    origin = Provenance(str(path), "dcsim", rows.height, dropped=counts, notes=table.notes)
    return JobTable.from_frame(jobs, origin), measured


def write_results(jobs: JobTable, path: Path | str, measures: pl.DataFrame | None = None) -> None:
    """Write the jobs that have ended as a result CSV; `measures` has the columns `MEASURES`.

    What is not known is an empty field, a hit rate -1 as DCSim has it. Raises `InputError` where a
    tag or machine holds a comma, a quote or a line break, which the format cannot quote.
    """
    jobs.require("site", "start_time", "end_time", for_what="DCSim's result CSV")
    frame = jobs.collect()
    if measures is not None:
        if missing := [name for name in MEASURES if name not in measures.columns]:
            raise InputError(f"measures lack the columns {', '.join(missing)}")
        frame = frame.join(measures.select(MEASURES), on="job_id", how="left")
    frame = frame.drop_nulls(["start_time", "end_time"])
    for name in _TEXTS:
        if frame[name].str.contains(r'[,"\r\n]').any():
            raise InputError(f"{name}: a name holds a comma, quote or line break; rename it")
    out = frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None, pl.Float64)).alias(column)
        for column, name in COLUMNS.items()
    ).with_columns(pl.col("hitrate").fill_null(-1.0))
    words = out.select(pl.concat_str(pl.all().cast(pl.String).fill_null(""), separator=", "))
    lines = [", ".join(COLUMNS), *words.to_series().to_list()]
    with writing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
