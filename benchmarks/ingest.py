"""CSV to Parquet against bare Polars; millions of rows from a PostgreSQL server.

    python benchmarks/ingest.py                   # CSV of canonical columns and of PanDA's
    python benchmarks/ingest.py --postgresql      # starts a server of its own

Each measurement is a process of its own: CPU seconds of all its threads, peak of its memory. The
yardstick is ``pl.scan_csv(...).sink_parquet(...)``, which checks, counts and orders nothing; the
two take turns, and the median of the ratios counts. Where PanDA's columns are read, all times are
parsed and repaired, names replaced.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

BARE = "import polars as pl; pl.scan_csv(source).sink_parquet(target)"
OURS = "from gridtwin import ingest; rows = ingest(source, target, **more).provenance.rows_read"
CHILD = """
import json, pathlib, re, sys, time
source, target, more, code = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
import gridtwin.trace.sources
rows, before, since = 0, time.process_time(), time.perf_counter()
exec(code)
status = pathlib.Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1]) / 1024
cpu, wall = time.process_time() - before, time.perf_counter() - since
print(json.dumps({"cpu": cpu, "wall": wall, "peak": peak, "rows": rows}))
"""


def measure(code: str, source: str, target: Path, **more: str) -> dict[str, float]:
    """Run code in a process of its own; return its CPU and wall seconds and its peak in MiB."""
    call = [sys.executable, "-c", CHILD, source, str(target), json.dumps(more), code]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def canonical_rows(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return made-up jobs in canonical columns."""
    submit = 1.7e9 + np.cumsum(np.round(rng.exponential(3.0, n)))
    start = submit + np.round(rng.exponential(4000.0, n))
    run = np.round(rng.lognormal(7.0, 1.5, n), 1)
    number = [pl.Series(rng.integers(k, size=n)).cast(pl.String) for k in (900, 80, 20_000)]
    return pl.DataFrame(
        {
            "job_id": np.arange(6_000_000_000, 6_000_000_000 + n),
            "user": "user" + number[0],
            "site": "SITE_" + number[1],
            "submit_time": submit,
            "start_time": start,
            "end_time": start + run,
            "cores_req": rng.choice([1, 8, 4], n),
            "run_time": run,
            "wait_time": start - submit,
            "cpu_time": np.round(run * 0.8),
            "input_files": rng.integers(1, 20, n),
            "input_bytes": rng.integers(1, 10**11, n),
            "dataset": "mc20_13TeV.7" + number[2] + ".Made_up.deriv.DAOD_PHYS.e8351_p4590",
            "status": rng.choice(["finished", "failed", "closed"], n),
            "priority": rng.integers(-400, 1000, n),
        }
    )


def panda_rows(n: int, rng: np.random.Generator) -> pl.DataFrame:
    """Return made-up jobs in the columns of PanDA's archive."""
    jobs = canonical_rows(n, rng)
    when = [
        pl.from_epoch(pl.col(name).cast(pl.Int64)).dt.strftime("%Y-%m-%d %H:%M:%S").alias(new)
        for name, new in (
            ("submit_time", "creationtime"),
            ("start_time", "starttime"),
            ("end_time", "endtime"),
        )
    ]
    names = {
        "job_id": "pandaid",
        "user": "produsername",
        "site": "computingsite",
        "cores_req": "corecount",
        "cpu_time": "cpuconsumptiontime",
        "input_files": "ninputdatafiles",
        "input_bytes": "inputfilebytes",
        "dataset": "proddblock",
        "status": "jobstatus",
        "priority": "currentpriority",
    }
    codes = [pl.lit(0).alias(f"{who}errorcode") for who in ("pilot", "exe", "ddm", "taskbuffer")]
    columns = [pl.col(old).alias(new) for old, new in names.items()]
    return jobs.select(*columns, *when, *codes, prodsourcelabel=pl.lit("user"))


def against_polars(n: int, repeats: int, folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name, rows in (("canonical", canonical_rows), ("PanDA", panda_rows)):
        source = folder / "jobs.csv"
        rows(n, rng).write_csv(source)
        found: dict[str, list[dict[str, float]]] = {"bare": [], "ours": []}
        for _ in range(repeats):
            found["bare"].append(measure(BARE, str(source), folder / "bare.parquet"))
            found["ours"].append(measure(OURS, str(source), folder / "ours.parquet"))
        cpu = {who: statistics.median(run["cpu"] for run in runs) for who, runs in found.items()}
        peak = {who: max(run["peak"] for run in runs) for who, runs in found.items()}
        pairs = [o["cpu"] / b["cpu"] for b, o in zip(found["bare"], found["ours"], strict=True)]
        size = {who: (folder / f"{who}.parquet").stat().st_size >> 20 for who in found}
        print(
            f"{name}: {n:,} rows, CSV of {source.stat().st_size >> 20} MiB: bare Polars "
            f"{cpu['bare']:.2f} s CPU, {peak['bare']:.0f} MiB, {size['bare']} MiB written; "
            f"gridtwin {cpu['ours']:.2f} s CPU, {peak['ours']:.0f} MiB, {size['ours']} MiB "
            f"written; median ratio {statistics.median(pairs):.2f}, all "
            f"{', '.join(f'{ratio:.2f}' for ratio in sorted(pairs))}",
            flush=True,
        )


def from_postgresql(n: int, folder: Path) -> None:
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        print("PostgreSQL: no server here: apt-get install postgresql")
        return
    become = []
    if os.geteuid() == 0:  # the server refuses to run as root
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        folder.chmod(0o755)
    home = folder / "server"
    home.mkdir()
    if become:
        shutil.chown(home, "nobody", "nogroup")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program, data = binaries[-1].parent, home / "data"
    quiet = {"check": True, "cwd": home, "stdout": subprocess.DEVNULL}
    subprocess.run([*become, program / "initdb", "-D", data, "-U", "me", "-A", "trust"], **quiet)
    options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [*become, program / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-o", options, "-l", home / "log", "start"], **quiet)
    try:
        sql = f"""CREATE TABLE jobs AS SELECT 6000000000 + g AS pandaid, 'user' || g % 900 AS
            produsername, 'SITE_' || g % 80 AS computingsite, 'finished' AS jobstatus,
            timestamp '2025-01-01' + g * interval '3 s' AS creationtime,
            timestamp '2025-01-01 01:00' + g * interval '3 s' AS starttime,
            timestamp '2025-01-01 02:00' + g * interval '3 s' AS endtime, 1 + g % 8 AS corecount,
            3000.5::numeric AS cpuconsumptiontime, g * 1000 AS inputfilebytes,
            'mc20_13TeV.7' || g % 20000 || '.Made_up.deriv.DAOD_PHYS.e8351_p4590' AS proddblock,
            0 AS piloterrorcode, 'user' AS prodsourcelabel FROM generate_series(1::bigint, {n}) g"""
        psql = [program / "psql", "-h", "127.0.0.1", "-p", str(port), "-U", "me", "-d", "postgres"]
        subprocess.run([*psql, "-q", "-c", sql], **quiet)
        url = f"postgresql://me@127.0.0.1:{port}/postgres"
        for rows in (n // 30, n // 3, n):
            query = f"select * from jobs where pandaid <= {6_000_000_000 + rows}"
            run = measure(OURS, url, folder / "jobs.parquet", query=query)
            print(
                f"PostgreSQL: {run['rows']:,.0f} rows of PanDA's columns in {run['wall']:.1f} s, "
                f"{run['cpu']:.1f} s CPU, peak {run['peak']:.0f} MiB",
                flush=True,
            )
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **quiet)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--postgresql", action="store_true", help="read from a real server")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.postgresql:
            from_postgresql(args.rows, Path(folder))
        else:
            against_polars(args.rows, args.repeats, Path(folder))


if __name__ == "__main__":
    main()
