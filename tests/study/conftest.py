import pytest

import gridtwin

STUDY = """\
name = "two brokers"
seeds = 2

[workload]
records = "jobs.parquet"
replicate = "days"

[platform]
file = "sites.toml"

[policy]
broker = ["least_loaded", "random"]
queue = "fcfs"

[faults]
chance = 0.1
attempts = 2
retry_delay = "10 min"

[[whatif]]
name = "base"

[[whatif]]
name = "A lost for a day"
lost = { site = "A", at_days = 2, days = 1 }
"""

SITES = """\
[[site]]
name = "A"
cores = 96

[[site]]
name = "B"
cores = 64
speed = "3 Gf"
"""


@pytest.fixture
def study(jobs, tmp_path):
    """A small study file: two brokers, two what-ifs, two seeds."""
    gridtwin.write(jobs, tmp_path / "jobs.parquet")
    (tmp_path / "sites.toml").write_text(SITES)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture
def bytes_of():
    """Return what a run folder holds that has to repeat, hidden leftovers aside: bytes by name."""

    def read(folder):
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "log.jsonl" and not path.name.startswith(".")
        }

    return read
