"""The study file that ``gridtwin study new`` writes."""

import json
from pathlib import Path

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing

__all__ = ["TEMPLATE", "write"]

_EXAMPLE = """\
[workload]
example = "panda"      # or records = "jobs.parquet", or model = "models/mine" (gridtwin train)
days = 7
scale = 0.05           # of the example's load
# replicate = "new"    # what a seed changes: "fixed" nothing, "days" whole days are drawn with
                       # replacement, "new" another trace (of a model or the example)

[platform]
example = "panda"      # or file = "grid.toml", cores = 4096, observed = true, calibration = "cal"
share = 0.6            # of the cores
"""

_RECORDS = """\
[workload]
records = {records}
replicate = "days"     # what a seed changes: "fixed" nothing, "days" whole days are drawn with
                       # replacement
# days = 30            # only so many

[platform]
observed = true        # or file = "grid.toml", cores = 4096, calibration = "cal"
share = 1.0            # of the cores
"""

TEMPLATE = """\
# A study: every list is an axis, and every combination runs once for each seed.
# Run it:  gridtwin study run {name}
name = {title}
seeds = 3              # 0, 1, 2; or a list of seeds
# base = {{ broker = "least_loaded", whatif = "base" }}  # by default the first of each axis
# metrics = ["mean_wait", "makespan"]                  # by default all

{source}
[policy]
broker = {brokers}  # gridtwin policies lists them
queue = "fcfs"

[faults]
observed = true        # failures as often as in the records; or chance = 0.05, file = "f.toml"
attempts = 3
retry_delay = "30 min"
elsewhere = 0.7        # chance that a retry avoids the site of the attempt before

# What if? Several keys in one table work together; days count from the first midnight.
[[whatif]]
name = "base"

[[whatif]]
name = "load x 1.5"
load = 1.5             # or {{ factor = 2, at_days = 3, days = 1 }}
{lost}
# lost = {{ site = "CERN", share = 0.5 }}               # half of it, for good
# new = {{ site = "NEW", cores = 2000, like = "CERN", at_days = 2 }}
# outages = "outages.toml"                            # a calendar: gridtwin platform outages
# link = {{ site = "BNL", factor = 10 }}                # or link = "name", bandwidth = "10 Gbps"
# storage = {{ site = "BNL", factor = 0.5 }}            # or capacity, read, write
# storm = {{ chance = 0.3, site = ["BNL"], at_days = 2, days = 1 }}
# switch = {{ at_days = 3, broker = "random", queue = "fair_share" }}
# removed = {{ user = ["u0001"] }}                      # any column and its values
# added = {{ like = {{ activity = "user" }}, name = "new group", load = 0.5 }}
# renewal = {{ at_days = 3, share = 0.5, sites = ["CERN", "BNL"] }}

# [feedback]           # every so many days the run's own records teach the model of the next ones
# every_days = 7
# windows = 4
"""

_LOST = """
[[whatif]]
name = "BNL lost for a day"
lost = { site = "BNL", at_days = 2, days = 1 }
"""


def write(path: Path | str, *, records: Path | str | None = None, force: bool = False) -> Path:
    """Write a study file that runs as it is, of the example or of records.

    Raises `InputError` if the file is there already, unless `force`, or the records are not.
    """
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path} is there already; choose another name, or use --force")
    source, brokers = _EXAMPLE, ["least_loaded", "data_local"]
    if records is not None:
        if not Path(records).exists():
            raise InputError(f"there is no file or folder {str(records)!r}")
        source = _RECORDS.format(records=json.dumps(str(Path(records).resolve())))
        brokers = ["least_loaded", "random"]
    text = TEMPLATE.format(
        name=path.name,
        title=json.dumps(path.stem),
        source=source,
        brokers=json.dumps(brokers),
        lost=_LOST if records is None else "",
    )
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path
