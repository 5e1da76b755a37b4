"""Run a study: every scenario under every seed, into a folder; go on after a kill; merge shards.

A run is a pure function of the study, the scenario and the seed. Its two files are written whole or
not at all, and a run whose ``.json`` is there is done.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gridtwin.core.errors import GridtwinError, InputError
from gridtwin.core.executor import Executor
from gridtwin.core.files import writing
from gridtwin.sim import Result, simulate
from gridtwin.study.feedback import run_windows
from gridtwin.study.folder import collect, done, open_folder, read_spec, run_file, write_table
from gridtwin.study.jobs import DAY, Given
from gridtwin.study.kpis import kpis
from gridtwin.study.spec import Scenario, Spec
from gridtwin.study.steps import drive, steps
from gridtwin.study.world import Setting, World

__all__ = ["Outcome", "merge", "resume", "run", "run_one", "shard_of", "simulated"]

BINS = 300
"""Bins of a timeline, at most; each site's own are coarser."""
_SITE_BINS = 60
_WIDTHS = (60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY, 2 * DAY, 7 * DAY)


@dataclass(frozen=True)
class Outcome:
    """What a run gives."""

    scenario: str
    seed: int
    figures: dict[str, float | None]
    timeline: pl.DataFrame
    """time_s (since the begin), site (null: all together), queued, running, busy_cores: means."""
    notes: tuple[str, ...]
    windows: tuple[dict[str, Any], ...]
    """Of the feedback, if there is any."""
    wall_s: float
    cpu_s: float
    worker: str
    """Host and process."""


def run(
    spec: Spec,
    folder: Path | str,
    *,
    executor: Executor | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: Callable[[int, int], None] | None = None,
    text: str | None = None,
) -> Path:
    """Run what of a study is not done yet, and write its tables; return the folder.

    Parameters
    ----------
    executor
        Which processes do the runs; the bytes do not depend on it.
    shard
        ``(i, n)``: only the i-th of n parts, counted from 1; see `merge`.
    progress
        Called with how many runs of how many are done.
    text
        The study file, to be kept beside the results.

    Raises
    ------
    InputError
        If the folder holds another study, an input has changed, or a run fails; the error names
        the scenario. What was done stays, and `resume` goes on from there.
    """
    folder = Path(folder)
    spec = open_folder(folder, spec, text)
    part = shard_of(spec.runs, shard)
    todo = [pair for pair in part if not done(folder, *pair)]
    ready = len(part) - len(todo)
    if progress is not None:
        progress(ready, len(part))
    for outcome in (executor or Executor()).map(partial(_task, _frozen(spec)), todo):
        _write(folder, outcome)
        ready += 1
        if progress is not None:
            progress(ready, len(part))
    collect(folder, spec)
    return folder


def resume(
    folder: Path | str,
    *,
    executor: Executor | None = None,
    shard: tuple[int, int] = (1, 1),
    progress: Callable[[int, int], None] | None = None,
    root: Path | str | None = None,
) -> Path:
    """Go on with a study that was stopped at any moment; the bytes are those of one go.

    `root`: where its inputs are, if that is another folder than it was. Raises `InputError` if an
    input or a library is not what it was.
    """
    spec = read_spec(Path(folder)).at(root)
    return run(spec, folder, executor=executor, shard=shard, progress=progress)


def merge(folders: Sequence[Path | str], out: Path | str) -> Path:
    """Put the runs of shards into one folder and write its tables.

    The shards have to be of one study: the same file, inputs and library versions. Raises
    `InputError` where they are not, or where a run differs between them.
    """
    if not folders:
        raise InputError("nothing to merge; give the folders of the shards")
    specs = [read_spec(Path(folder)) for folder in folders]
    for folder, spec in zip(folders[1:], specs[1:], strict=True):
        if (why := specs[0].same_as(spec)) is not None:
            raise InputError(f"{folders[0]} and {folder} are not of one study: {why}")
    out = Path(out)
    study = Path(folders[0]) / "study.toml"
    text = study.read_text(encoding="utf-8") if study.is_file() else None
    spec = open_folder(out, specs[0], text, check=False)
    for folder in map(Path, folders):
        for name, seed in spec.runs:
            if done(folder, name, seed):
                for suffix in (".parquet", ".json"):
                    _copy(run_file(folder, name, seed, suffix), run_file(out, name, seed, suffix))
    collect(out, spec)
    return out


def shard_of(runs: Sequence[tuple[str, int]], shard: tuple[int, int]) -> Sequence[tuple[str, int]]:
    """Return the i-th of n parts of the runs, counted from 1; together they are all of them."""
    i, n = shard
    if not 1 <= i <= n:
        raise InputError(f"shard {i}/{n}: expected i/n with i from 1 to n")
    return runs[(i - 1) * len(runs) // n : i * len(runs) // n]


def run_one(world: World, scenario: Scenario, seed: int) -> Outcome:
    """Simulate one scenario under one seed.

    With feedback, figures are means over its windows, and the timeline is that of all together.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    rows: tuple[dict[str, Any], ...] = ()
    setting = world.setting(scenario, seed)
    if world.spec.feedback is None:
        results = [simulated(setting, scenario, seed)]
    else:
        results, rows = run_windows(world.spec.feedback, setting, scenario, seed, simulated)
    found = [kpis(result) for result in results]
    return Outcome(
        scenario.id,
        seed,
        found[0] if len(found) == 1 else {name: _mean(found, name) for name in found[0]},
        _timeline(results, setting.begin, _width(world.base())),
        tuple(dict.fromkeys(note for result in results for note in result.notes)),
        rows,
        time.perf_counter() - wall,
        time.process_time() - cpu,
        f"{platform.node()}:{os.getpid()}",
    )


def simulated(setting: Setting, scenario: Scenario, seed: int) -> Result:
    """Simulate a setting under the scenario's policies, with what happens on the way."""
    policy, table = scenario.policy, scenario.workload
    asked: dict[str, Any] = {
        "platform": setting.platform,
        "policy": policy.queue,
        "broker": policy.broker,
        "seed": seed,
        "faults": setting.faults,
        "rules": setting.rules,
        "local": setting.local,
        "replicas": setting.given.replicas,
        "files": setting.given.files,
        "parents": setting.given.parents,
        "origin": table.origin or None,
        "stream": table.stream,
        "walltime": table.walltime,
    }
    todo = steps(scenario.whatif, setting.platform, setting.begin)
    if todo:
        asked["drive"] = lambda run: drive(run, todo)
    return simulate(setting.given.jobs, **asked)


def _mean(found: list[dict[str, float | None]], name: str) -> float | None:
    values = [value for one in found if (value := one[name]) is not None]
    return sum(values) / len(values) if values else None


def _width(base: Given) -> float:
    """Return the width of a timeline's bins (s): the workload takes 200 at most."""
    last = float(base.frame["submit_time"].max())  # type: ignore[arg-type]
    span = last - base.begin
    return next((float(w) for w in _WIDTHS if span / w <= 200), span / 200)


def _timeline(results: Sequence[Result], begin: float, width: float) -> pl.DataFrame:
    """Return the queues and the use of all sites together and, in coarser bins, of each.

    What happens after the last of `BINS` bins is left out.
    """
    last = max(float(np.nanmax(r.schedule.end, initial=begin)) for r in results)
    bins = int(np.clip(np.ceil((last - begin) / width), 1, BINS))
    each = -(-bins // _SITE_BINS)
    bins = -(-bins // each) * each
    edges = begin + width * np.arange(bins + 1, dtype=np.float64)
    names = ("queued", "running", "busy_cores")
    sites = results[0].platform.names
    sums = {name: np.zeros((len(sites), bins)) for name in names}
    for result in results:
        part = result.averaged(edges)
        for name in names:
            sums[name] += part[name].to_numpy().reshape(len(sites), bins)
    time_s = width * np.arange(bins)
    whole = pl.DataFrame(
        {"time_s": time_s, "site": pl.Series([None] * bins, dtype=pl.String)}
        | {name: sums[name].sum(0) for name in names}
    )
    coarse = {name: sums[name].reshape(len(sites), -1, each).mean(2).ravel() for name in names}
    by_site = pl.DataFrame(
        {
            "time_s": np.tile(time_s[::each], len(sites)),
            "site": np.repeat(np.array(sites, dtype=object), bins // each).tolist(),
        }
        | coarse
    )
    return pl.concat([whole, by_site]).with_columns(pl.col(names).cast(pl.Float32))


def _frozen(spec: Spec) -> str:
    """Return the study as a text, which every process can take."""
    return json.dumps(spec.to_json())


@lru_cache(maxsize=1)
def _world(text: str) -> World:
    """Return what a process has built for a study."""
    return World(Spec.from_json(json.loads(text)))


def _task(text: str, pair: tuple[str, int]) -> Outcome:
    """Do one run in whatever process this is; an error says which run it was."""
    world = _world(text)
    scenario, seed = world.spec.by_id[pair[0]], pair[1]
    where = f"scenario {scenario.id} ({scenario.label}), seed {seed}"
    try:
        return run_one(world, scenario, seed)
    except GridtwinError as error:
        raise InputError(f"{where}: {error}") from error
    except Exception as error:
        error.add_note(f"in {where}")
        raise


def _write(folder: Path, outcome: Outcome) -> None:
    """Write a run: its timeline, and then what says that it is done."""
    name, seed = outcome.scenario, outcome.seed
    write_table(outcome.timeline, run_file(folder, name, seed, ".parquet"))
    document = {
        "scenario": name,
        "seed": seed,
        "figures": outcome.figures,
        "notes": list(outcome.notes),
        "windows": list(outcome.windows),
    }
    with writing(run_file(folder, name, seed, ".json")) as path:
        path.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
    line = {
        "scenario": name,
        "seed": seed,
        "wall_s": round(outcome.wall_s, 4),
        "cpu_s": round(outcome.cpu_s, 4),
        "worker": outcome.worker,
    }
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")


def _copy(source: Path, target: Path) -> None:
    """Copy a file of a run; one that is there already has to be the same."""
    content = source.read_bytes()
    if target.is_file() and target.read_bytes() != content:
        raise InputError(f"{source} and {target} are of one run and differ; begin anew")
    with writing(target) as path:
        path.write_bytes(content)
