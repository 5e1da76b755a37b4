"""What the pages are tested with: a reader of them, made-up judgements and run folders."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gridtwin.metrics import Evaluation, Row
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


LOADING = ("src", "srcset", "poster", "data", "action", "background")


class Page(HTMLParser):
    """Collects tags, what they would load, ids and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.links, self.ids, self.text = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in LOADING or name.startswith("on"):
                self.loads.append((tag, name, value))
            if name.endswith("href"):
                self.links.append(value)

    def handle_data(self, data):
        self.text.append(data)

    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="session")
def read_page():
    """Return what reads a page's text."""
    return Page


@pytest.fixture(scope="session")
def study_text():
    """Return a study file."""
    return STUDY


@pytest.fixture(scope="session")
def made_study():
    """Return what writes a run folder of made-up figures; nothing is simulated."""
    return _made


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    """A judgement with a value of every kind, one that does not apply, and a name from others."""
    rows = (
        Row("ks", "marginal", "min", "Largest ``gap``\nof two.\n\nMean.", 0.08, 0.01, 0.0, None,
            None, {"run_time": 0.1, "cores_req": None}),
        Row("c2st", "detection", "half", "AUC.", 0.57, 0.5, None, None, None),
        Row("dcr_share", "privacy", "half", "Share.", None, None, None, None, None, {},
            {"reason": "needs a <holdout>"}),
        Row("wait_easy", "scheduling", "one", "Mean wait.", 1.2, None, 1.0, 1.05, (0.7, 1.9), {},
            {"values": [0.7, 1.2, 1.9], "weeks_spread": [0.55, 1.85]}),
        Row("colour", "taste", "min", "Of another package.", 0.5, None, None, None, None),
    )  # fmt: skip
    return Evaluation(rows, ("Good for <em>queues</em>.",), ("How made.",), {"cores": 256}, {})


def _made(
    path: Path,
    text: str = STUDY,
    *,
    runs: int | None = None,
    sites=("CERN", "BNL", "FZK-LCG2"),
    days=30.0,
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
        _timeline(sites, rng, place, days).write_parquet(run_file(path, scenario, seed, ".parquet"))
    return Folder.open(path)


def _timeline(sites, rng, place: int, days: float) -> pl.DataFrame:
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
