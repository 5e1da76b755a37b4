"""Run a study file, and look at what came out."""

from pathlib import Path

import polars as pl

from gridtwin.core.executor import Executor
from gridtwin.study.folder import Folder
from gridtwin.study.run import run
from gridtwin.study.spec import load

# --8<-- [start:run]
spec = load(Path(__file__).with_name("study.toml"))
run(spec, "runs/study", executor=Executor("serial"))
found = Folder.open("runs/study")

waits = found.comparison.filter(pl.col("metric") == "mean_wait")
names = {scenario.id: scenario.label for scenario in found.scenarios}
for row in waits.iter_rows(named=True):
    print(
        f"{names[row['scenario']]:32} {row['mean'] / 3600:6.2f} h, "
        f"{row['low'] / 3600:+.2f} to {row['high'] / 3600:+.2f} h against the base"
    )
# --8<-- [end:run]

axes = found.sensitivity.filter(pl.col("metric") == "mean_wait")
print(axes.select("axis", "share", "least", "most"))
