"""The size of the published surrogate of grid jobs: 1.3 million rows of 9 columns.

``python benchmarks/paper_size.py [--models trace cart] [--rows 1300000] [--json]``

150 days of the PanDA-like example (synthetic), of which that many jobs are drawn at random, with
the columns of the paper: status, site, project, prodstep, data type; work, creation, number and
bytes of the input files. Each model is fitted and sampled in a process of its own: CPU seconds
after the imports, peak memory of the process.
"""

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import gridtwin
from gridtwin.metrics.base import subsample
from gridtwin.trace.examples import load
from gridtwin.trace.writers import write

COLUMNS = ["job_id", "status", "site", "project", "prodstep", "datatype", "work"]
COLUMNS += ["submit_time", "input_files", "input_bytes"]


def made(path: str, rows: int) -> int:
    """Write the jobs; return how many columns they have beside their number."""
    jobs = load("panda", days=150)
    there = [name for name in COLUMNS if name in jobs.columns]
    jobs = subsample(jobs.with_frame(jobs.collect(there)), rows, np.random.default_rng(0))
    write(jobs, path)
    return len(there) - 1


def cost(path: str, name: str, samples: int) -> dict[str, float]:
    """Return what a fit and a sample of `samples` rows take."""
    jobs = gridtwin.read(path)
    jobs = jobs.with_frame(jobs.collect())
    before = time.process_time()
    model = gridtwin.models.get(name)().fit(jobs)
    fitted = time.process_time()
    drawn = len(model.sample(samples))
    done = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": drawn, "fit_s": fitted - before, "sample_s": done - fitted, "peak_mib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=["trace", "cart"])
    parser.add_argument("--rows", type=int, default=1_300_000)
    parser.add_argument("--samples", type=int, help="rows to sample; as many as fitted")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    apart = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "jobs.parquet")
        with apart.Pool(1) as pool:
            columns = pool.apply(made, (path, args.rows))
        found = {}
        for name in args.models:
            with apart.Pool(1) as pool:
                found[name] = pool.apply(cost, (path, name, args.samples or args.rows))
    if args.json:
        print(json.dumps({"rows": args.rows, "columns": columns, "models": found}, indent=1))
        return
    print(f"{args.rows:,} rows, {columns} columns")
    for name, costs in found.items():
        print(name, ", ".join(f"{key} {value:,.1f}" for key, value in costs.items()))


if __name__ == "__main__":
    main()
