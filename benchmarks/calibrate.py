"""Calibrations of real traces, judged on their later part, beside baselines.

``python benchmarks/calibrate.py KTH.swf.gz theta.csv.gz… [--trials 400] [--seeds 3] [--profiles 0]
[--head 20000] [--json]``

Each trace is calibrated on the first 70 % of its time and judged on the rest, once for each seed.
Figures are Wasserstein distances of queue times, s, of all later jobs (span) and the mean of those
within weeks or days (block); intervals are of block bootstraps, 95 %. CPU seconds are of the
whole calibration. `head` takes only the first jobs of each trace.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import gridtwin
from gridtwin.sim.calibrate import calibrate


def judge(path: Path, seed: int, options: argparse.Namespace) -> dict[str, object]:
    """Return what one calibration found, and its scores."""
    jobs = gridtwin.read(path)
    if options.head:
        jobs = jobs.with_frame(jobs.collect().sort("submit_time").head(options.head))
    before = time.process_time()
    found = calibrate(jobs, trials=options.trials, profiles=options.profiles, seed=seed)
    return {
        "trace": path.name,
        "seed": seed,
        "cpu_s": time.process_time() - before,
        "settings": {fit.site: fit.setting.to_dict() for fit in found.sites},
        "loss": [(fit.default, fit.loss) for fit in found.sites],
        "known": found.settings().to_dicts(),
        "scores": [asdict(score) for score in found.scores],
    }


def show(row: dict[str, object]) -> None:
    """Print one calibration for the eye."""
    print(f"\n{row['trace']}, seed {row['seed']}: {row['cpu_s']:.0f} CPU s, loss {row['loss']}")
    print("  ", row["settings"])
    for known in row["known"]:
        print("   ", known)
    for s in row["scores"]:
        low, high = s["interval"]
        first, last = s["minus_training"]
        print(
            f"   {s['quantity']:10} {s['within']:5} {s['jobs']:6} jobs {s['blocks']:3} blocks  "
            f"calibrated {s['calibrated']:.4g} [{low:.4g}, {high:.4g}]  default {s['default']:.4g}"
            f"  median {s['median']:.4g}  earlier {s['training']:.4g}"
            f"  - earlier [{first:.4g}, {last:.4g}]",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--profiles", type=int, default=0)
    parser.add_argument("--head", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = []
    for path in options.traces:
        for seed in range(options.seeds):
            rows.append(judge(path, seed, options))
            if not options.json:
                show(rows[-1])
    if options.json:
        print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
