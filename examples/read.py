"""Write a trace as SWF, read it again, and look at it with Polars."""

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

import gridtwin

with TemporaryDirectory() as folder:
    path = Path(folder) / "example.swf.gz"
    gridtwin.write(gridtwin.examples.load("lublin", n=500), path)
    jobs = gridtwin.read(path)
    print(jobs.provenance)
    hours = pl.col("run_time") * pl.col("cores_req") / 3600
    print(jobs.frame.group_by("user").agg(hours.sum().alias("core_hours")).collect())
