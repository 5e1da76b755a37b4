"""Run folders of made-up figures, as a study leaves them; nothing is simulated."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from gridtwin.study.folder import Folder, open_folder, run_file
from gridtwin.study.kpis import METRICS
from gridtwin.study.spec import parse

STUDY = """
name = "Brokers & <script>alert(1)</script>"
seeds = 5
[workload]
example = "panda"
[platform]
observed = true
[policy]
broker = ["least_loaded", "random", "mct"]
[[whatif]]
name = "as it is"
[[whatif]]
name = "load x 1.5"
load = 1.5
"""


def made(
    path: Path, text: str = STUDY, *, runs: int | None = None, sites=("CERN", "BNL", "FZK-LCG2")
) -> Folder:
    """Write a run folder; `runs`: only so many of them are done."""
    spec = open_folder(path, parse(text), text)
    for scenario, seed in spec.runs[:runs]:
        place = [s.id for s in spec.scenarios].index(scenario)
        rng = np.random.default_rng([seed, place])
        figures = {name: 0.5 for name in METRICS}
        figures["mean_wait"] = 3600.0 * (1 + 0.3 * (place % 2) - 0.1 * place) + 60 * rng.normal()
        figures["moved_bytes"] = 1e12 * (1 + place * 0.2) + 1e10 * rng.normal()
        figures["wasted_share"] = 0.05 + 0.01 * rng.random()
        if place == 1:
            figures["mean_turnaround"] = None
        document = {"figures": figures, "notes": ["a <b>note</b>"], "windows": []}
        if spec.feedback is not None:
            document["windows"] = [{"window": k, "ks": 0.1 * k + 0.01 * seed} for k in range(4)]
        run_file(path, scenario, seed, ".json").write_text(json.dumps(document))
        _timeline(sites, rng, place).write_parquet(run_file(path, scenario, seed, ".parquet"))
    return Folder.open(path)


def _timeline(sites, rng, place: int, days: float = 30.0) -> pl.DataFrame:
    parts = []
    for site in (None, *sites):
        bins = 300 if site is None else 60
        time = np.arange(bins) * days * 86400 / bins
        wave = 100 * (1.5 + np.sin(time / 86400 * 2 * np.pi / 7)) + 10 * rng.random(bins)
        parts.append(
            pl.DataFrame(
                {
                    "time_s": time,
                    "site": pl.Series([site] * bins, dtype=pl.String),
                    "queued": (wave * (1 + 0.1 * place)).astype(np.float32),
                    "running": wave.astype(np.float32),
                    "busy_cores": (4 * wave).astype(np.float32),
                }
            )
        )
    return pl.concat(parts)
