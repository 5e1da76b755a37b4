"""The dynamic model on one trace: analysis, surrogate, fidelity, platform, policies, what-ifs."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gridtwin.analysis import Analysis, analyse
from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.metrics.sites import sites_of
from gridtwin.sim import Platform, build
from gridtwin.study.folder import Folder
from gridtwin.study.jobs import DAY
from gridtwin.study.loop import Loop, run_loop
from gridtwin.study.platforms import with_share
from gridtwin.trace import JobTable
from gridtwin.trace.derive import machine_size, runnable

__all__ = ["Demo", "run_demo"]

SEEDS = 3
GRID_SHARE = 0.6
"""Of the cores that the records had in use at the same time; so that jobs wait."""


@dataclass(frozen=True)
class Demo:
    """What the parts of the dynamic model gave."""

    analysis: Analysis
    loop: Loop
    study: Folder
    folder: Path


def run_demo(
    jobs: JobTable,
    folder: Path | str,
    *,
    grid: bool = False,
    cores: int | None = None,
    samples: int = 20,
    seed: int = 0,
) -> Demo:
    """Analyse the jobs, learn and judge the trace model, and run it under policies and what-ifs.

    Writes into `folder`: ``analysis/``; ``fidelity/``, see `run_loop`; ``platform.toml`` and
    ``study.toml``, which are there to be changed and run again; and ``study/``, the run folder.
    While the model is judged, the study runs in a process of its own.

    Parameters
    ----------
    grid
        Whether the platform is a grid like WLCG, with links and storages, as suits the example
        ``panda``; else it is the machine, or the sites, that the records show.
    cores
        Size of the machine, where there is only one.
    samples
        Traces to draw for the judgement of queues.
    """
    folder = Path(folder)
    analysis = analyse(jobs)
    analysis.save(folder / "analysis")
    several = cores is None and sites_of(jobs) > 1
    platform = _platform(jobs, grid, several, cores)
    platform.save(folder / "platform.toml")
    text = _study(jobs, platform, grid=grid, several=several, seed=seed)
    with writing(folder / "study.toml") as temporary:
        temporary.write_text(text, encoding="utf-8")

    running: list[subprocess.Popen[bytes]] = []
    with _ended(running):
        loop = run_loop(
            jobs,
            folder / "fidelity",
            cores=cores,
            samples=samples,
            seed=seed,
            fitted=lambda: running.append(_start(folder)),
        )
        if code := running[0].wait():
            raise InputError(f"the study of the demo ended with {code}; see the messages above")
    return Demo(analysis, loop, Folder.open(folder / "study"), folder)


def _platform(jobs: JobTable, grid: bool, several: bool, cores: int | None) -> Platform:
    if grid:
        whole = build.wlcg()
        share = GRID_SHARE * machine_size(jobs) / float(whole.cores.sum())
        return with_share(whole, share, least=16)
    return Platform.observed(jobs) if several else Platform.single(cores or machine_size(jobs))


def _study(jobs: JobTable, platform: Platform, *, grid: bool, several: bool, seed: int) -> str:
    """Return the text of the study file."""
    submit = runnable(jobs).submit
    days = float(submit[-1] - submit[0]) / DAY if len(submit) else 0.0
    lost = platform.names[int(platform.cores.argmax())]
    if grid:
        lost, policy = "BNL", ['broker = ["least_loaded", "data_local", "panda_analysis"]']
        policy.append('queue = "fcfs"')
        more = "\n[faults]\nobserved = true\nattempts = 3\n"
    elif several:
        policy = ['broker = ["recorded", "least_loaded", "fewest_jobs"]', 'queue = "easy"']
        more = ""
    else:
        policy, more = ['queue = ["easy", "fcfs", "sjf+easy"]'], ""
    quoted = '"' + lost.replace("\\", "\\\\").replace('"', '\\"') + '"'
    name = "what if " + quoted[1:-1]
    lines = "\n".join(policy)
    return f"""\
# Three policies, three circumstances, {SEEDS} seeds: each seed is another trace of the model.
# Change it, and run it again: gridtwin study run study.toml -o another
name = "Policies and what-ifs"
seeds = [{", ".join(str(seed + k) for k in range(SEEDS))}]

[workload]
model = "fidelity/model"

[platform]
file = "platform.toml"

[policy]
{lines}
{more}
[[whatif]]
name = "base"

[[whatif]]
name = "{name[8:]} lost for a day"
lost = {{ site = {quoted}, at_days = {max(0.0, round(days / 3, 2))}, days = 1 }}

[[whatif]]
name = "load x 1.5"
load = 1.5
"""


def _start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the study as anybody would from the command line."""
    command = [sys.executable, "-m", "gridtwin", "study", "run", str(folder / "study.toml")]
    return subprocess.Popen([*command, "-o", str(folder / "study")], stdout=subprocess.DEVNULL)


@contextmanager
def _ended(running: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """End what still runs, whatever happens."""
    try:
        yield
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
