"""Odd jobs found: incidents put into real traces, and those of the PanDA-like example.

``python benchmarks/anomalies.py theta.csv.gz mira.csv.gz [--panda 14] [--models cart tabddpm]``

Into each trace go, on jobs of their own, for each seed: a *hole*, 12 hours in which half of the
jobs fail within 30 s; a *slow* user, whose jobs of a week run 10 times as long, up to the time
asked for; a wrong *unit*, requests of 0.5 % of the jobs in minutes; a *swap*, 0.5 % of the
statuses finished for failed or the other way round. Statuses as recorded and error codes are left
out: with them swaps break a dependency and are found always. Each kind is judged against the jobs
that nobody touched. *before* is the AUC of the same jobs in the trace without incidents: some
users are odd by themselves; *of its column* that of the one column that was changed.

For ``--panda`` days (at a tenth of the load) the jobs to be found are those that an incident
failed: at its site, ended in its time, with one of its codes. ``forest`` is scikit-learn's
IsolationForest with its defaults on numbers (logarithms) and indicators of the 256 most frequent
names, submit times left out, fitted on all jobs. Printed: the share of jobs to be found (the AP of
chance), AUC and average precision, CPU seconds.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

import gridtwin
from gridtwin.cli.benchmark import parse_model
from gridtwin.study.anomalies import anomalies
from gridtwin.trace import JobTable
from gridtwin.trace.encode import Encoder, modelled_columns
from gridtwin.trace.examples import panda

HOUR, DAY = 3600.0, 86400.0
Bools = NDArray[np.bool_]
PANDA_SCALE = 0.1
CHANGED = {"hole": "odd_run_time", "slow": "odd_run_time"}
CHANGED |= {"unit": "odd_walltime_req", "swap": "odd_status"}


def without_codes(jobs: JobTable) -> JobTable:
    """Return the jobs without what tells the status again."""
    gone = ("raw_status", "error_codes", "start_time", "end_time")
    return jobs.with_frame(jobs.collect().drop(gone, strict=False))


def injected(jobs: JobTable, seed: int) -> tuple[JobTable, dict[str, Bools]]:
    """Return a trace with four kinds of incidents in it, and the jobs of each."""
    rng = np.random.default_rng(seed)
    frame = jobs.collect()
    run, request = (frame[c].to_numpy().copy() for c in ("run_time", "walltime_req"))
    status = frame["status"].to_numpy().astype(object)
    submit = frame["submit_time"].to_numpy()
    n = len(submit)
    free = np.isfinite(run) & (request > 0)
    found: dict[str, Bools] = {}

    def take(kind: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = rows[free[rows]]
        free[rows] = False
        found[kind] = np.isin(np.arange(n), rows)
        return rows

    begin = rng.choice(submit)
    inside = np.flatnonzero((submit >= begin) & (submit < begin + 12 * HOUR))
    hole = take("hole", inside[rng.random(len(inside)) < 0.5])
    run[hole], status[hole] = rng.integers(1, 30, len(hole)), "failed"
    user = frame["user"].to_numpy()
    some = frame["user"].drop_nulls().value_counts().filter(pl.col("count") >= 100)["user"]
    who = rng.choice(some.sort().to_numpy())
    begin = rng.choice(submit[user == who])
    slow = np.flatnonzero((user == who) & (submit >= begin) & (submit < begin + 7 * DAY))
    slow = take("slow", slow)
    run[slow] = np.minimum(10 * run[slow], np.maximum(request, run)[slow])
    wrong = take("unit", rng.choice(n, n // 200, replace=False))
    request[wrong] = request[wrong] / 60
    ended = np.flatnonzero((status == "finished") | (status == "failed"))
    swap = take("swap", rng.choice(ended, n // 200, replace=False))
    status[swap] = np.where(status[swap] == "failed", "finished", "failed")
    changed = frame.with_columns(
        run_time=pl.Series(run), walltime_req=pl.Series(request), status=pl.Series(status.tolist())
    )
    return jobs.with_frame(changed), found


def example(days: int, seed: int) -> tuple[JobTable, dict[str, Bools]]:
    """Return the PanDA-like example and the jobs that its incidents failed."""
    options = {"seed": seed, "scale": PANDA_SCALE}
    jobs = panda.load(days, **options)
    frame = jobs.collect()
    caught = np.zeros(frame.height, dtype=bool)
    for site, begin, end, codes in (
        panda.incidents(days, **options).select("site", "begin", "end", "codes").iter_rows()
    ):
        hit = pl.col("error_codes").list.eval(pl.element().is_in(codes)).list.any()
        within = pl.col("end_time").is_between(begin, end) & (pl.col("site") == site)
        caught |= frame.select((hit & within & (pl.col("status") == "failed")).fill_null(False))[
            :, 0
        ].to_numpy()
    return jobs, {"incident": caught}


def forest(jobs: JobTable, seed: int) -> NDArray[np.float64]:
    """Return how odd jobs are to scikit-learn's IsolationForest."""
    columns = modelled_columns(jobs).without("submit_time", "eligible_time")
    X = Encoder.fit(jobs, columns).unit(jobs)
    frame = jobs.collect()
    for name in columns.numbers:
        values = frame[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        X[:, Encoder.fit(jobs, columns).unit_names().index(name)] = np.log1p(np.abs(values))
    return -IsolationForest(random_state=seed).fit(X).score_samples(X)


def scored(jobs: JobTable, model: str, seed: int) -> pl.DataFrame:
    """Return the scores of jobs in their order."""
    if model == "forest":
        return pl.DataFrame({"score": forest(jobs, seed)})
    found = anomalies(jobs, parse_model(model).fit, seed=seed).frame
    return jobs.collect().select("job_id").join(found, on="job_id", maintain_order="left")


def auc(scores: pl.DataFrame | None, column: str, odd: Bools, seen: Bools) -> float:
    """Return the AUC of a column of scores, NaN where there is none."""
    if scores is None or column not in scores.columns:
        return np.nan
    return float(roc_auc_score(odd[seen], scores[column].to_numpy()[seen]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", nargs="*", type=Path)
    parser.add_argument("--panda", type=int, default=0, metavar="DAYS")
    parser.add_argument("--models", nargs="+", default=["cart", "forest"])
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    plain = {path.name: without_codes(gridtwin.read(path)) for path in args.traces}
    cases = {name: partial(injected, jobs) for name, jobs in plain.items()}
    if args.panda:
        cases[f"panda, {args.panda} days"] = partial(example, args.panda)
    print("| trace | incident | share | model | before | AUC | of its column | AP | CPU s |")
    for name, make in cases.items():
        rows: dict[tuple[str, str], list[tuple[float, ...]]] = {}
        for seed in range(args.seeds):
            jobs, found = make(seed)
            touched = np.any(list(found.values()), axis=0)
            for model in args.models:
                begin = time.process_time()
                score = scored(jobs, model, seed)
                cpu = time.process_time() - begin
                before = scored(plain[name], model, seed) if name in plain else None
                for kind, odd in found.items():
                    if not odd.any():
                        continue
                    seen = odd | ~touched
                    figures = (
                        odd[seen].mean(),
                        auc(before, "score", odd, seen),
                        auc(score, "score", odd, seen),
                        auc(score, CHANGED.get(kind, ""), odd, seen),
                        average_precision_score(odd[seen], score["score"].to_numpy()[seen]),
                        cpu,
                    )
                    rows.setdefault((kind, model), []).append(figures)
        for (kind, model), each in sorted(rows.items()):
            share, *aucs, precision, cpu = np.mean(each, axis=0)
            own, whole, column = (f"{value:.3f}" for value in aucs)
            line = (
                f"{share:.2%} | {model} | {own} | {whole} | {column} | {precision:.3f} | {cpu:.1f}"
            )
            print(f"| {name} | {kind} | {line} |", flush=True)


if __name__ == "__main__":
    main()
