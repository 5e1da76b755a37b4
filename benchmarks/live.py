"""The live page at work: updates a second, how soon the page answers, and CPU, with two browsers.

``python benchmarks/live.py [--jobs 1000000] [--seconds 30] [--json]``

The example of one machine with so many jobs is played as fast as it goes, while two windows of
Chromium look on. Told are the frames that each drew a second, the pause between two of them that
95 % keep below, the time until the page answers, and the CPU of the server and of the simulation as
shares of one core, so that the yardstick is the core.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Page, sync_playwright

ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
WATCH = """() => {
  const seen = []; let last = window.gridtwinFrames();
  const look = () => { const now = window.gridtwinFrames();
    if (now > last) { seen.push(performance.now()); last = now; } requestAnimationFrame(look); };
  requestAnimationFrame(look); window.seenFrames = seen; }"""
DELAY = """() => new Promise((done) => { const begin = performance.now();
  setTimeout(() => done(performance.now() - begin), 0); })"""


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watched(pages: list[Page], pids: dict[str, int], seconds: float) -> dict[str, Any]:
    """Look on for some seconds."""
    for page in pages:
        page.evaluate(WATCH)
    before, begin = {name: cpu(pid) for name, pid in pids.items()}, time.monotonic()
    delays = []
    while time.monotonic() - begin < seconds:
        delays += [page.evaluate(DELAY) for page in pages]
        pages[0].wait_for_timeout(200)
    took = time.monotonic() - begin
    used = {f"cpu_{name}": (cpu(pid) - before[name]) / took for name, pid in pids.items()}
    seen = [page.evaluate("window.seenFrames") for page in pages]
    gaps = sorted(b - a for times in seen for a, b in pairwise(times))
    delays.sort()
    return {
        "seconds": took,
        "frames_per_s": [len(times) / took for times in seen],
        "gap_p95_ms": gaps[int(0.95 * len(gaps))],
        "answer_p95_ms": delays[int(0.95 * len(delays))],
        "answer_max_ms": delays[-1],
        **used,
    }


def measure(jobs: int, seconds: float) -> dict[str, Any]:
    """Start the server, the simulation and two windows."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "gridtwin", "serve", runs, "--port", "0", "--allow-run"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as server, sync_playwright() as driver:
            address = server.stdout.readline().strip()
            token = server.stderr.readline().split()[1]
            start = {"example": "lublin", "jobs": jobs, "platform": "machine", "speed": 3e7}
            headers = {"x-gridtwin-token": token}
            answer = httpx2.post(f"{address}api/live", json=start, headers=headers).json()
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
            chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
            pages = [chromium.new_context().new_page() for _ in range(2)]
            for page in pages:
                page.goto(f"{address}live/{answer['id']}")
                page.locator("#state", has_text="playing").wait_for(timeout=900_000)
            pids = {"server": server.pid, "simulation": int(children)}
            found = watched(pages, pids, seconds)
            last = httpx2.get(f"{address}api/live/{answer['id']}").json()
            found |= {"jobs": last["jobs"], "queued": last["now"]["queued"]}
            found |= {"arrived": last["progress"]["arrived"], "events": last["progress"]["events"]}
            chromium.close()
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The live page at work.")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.jobs, args.seconds)
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        print(f"{name:16} {value}")


if __name__ == "__main__":
    main()
