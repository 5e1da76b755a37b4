"""The process of a live simulation: commands come on stdin, what is seen goes to stdout.

``python -m gridtwin.web.child ROOT`` is started by `gridtwin.web.live`. Both ways are lines of
JSON: first a `gridtwin.web.shapes.Start`, then `Action`s; back come ``ready``, then ten frames a
second while it plays, and notes. When stdin ends, the process does.
"""

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING, Any

from gridtwin.core.errors import GridtwinError, InputError
from gridtwin.web.shapes import Action, Start

if TYPE_CHECKING:
    from gridtwin.sim import Simulation
    from gridtwin.web.simulation import Drive

__all__ = ["main"]

TICK = 0.1
"""s between frames."""
BUDGET = 0.07
"""s of work between frames: the rest is the machine's, and the reader's."""


def main() -> None:
    """Run until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server says when it is over
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing else may print between the lines
    commands: queue.SimpleQueue[str] = queue.SimpleQueue()
    first = sys.stdin.readline()
    threading.Thread(target=_listen, args=(sys.stdin, commands), daemon=True).start()
    _live(Start.model_validate_json(first), Path(sys.argv[1]), commands, out)


def _listen(source: IO[str], commands: "queue.SimpleQueue[str]") -> None:
    """Hand on the lines; leave at once when there are no more, whatever runs."""
    for line in source:
        commands.put(line)
    os._exit(0)


def _tell(out: IO[str], kind: str, **what: Any) -> None:  # noqa: ANN401 - any JSON value
    out.write(json.dumps({"kind": kind, **what}) + "\n")
    out.flush()


def _live(start: Start, root: Path, commands: "queue.SimpleQueue[str]", out: IO[str]) -> None:
    """Make the simulation that was asked for and play it; say what is wrong with it otherwise."""
    from gridtwin.sim import simulate
    from gridtwin.web.simulation import load, platform_for

    try:
        jobs = load(start, root)
        simulate(
            jobs,
            platform=platform_for(start, jobs),
            policy=start.policy,
            broker=start.broker,
            seed=start.seed,
            drive=lambda run: _play(run, start, commands, out),
        )
    except (GridtwinError, OSError) as error:
        _tell(out, "failed", text=str(error))


def _play(
    run: "Simulation", start: Start, commands: "queue.SimpleQueue[str]", out: IO[str]
) -> None:
    """Step a simulation and steer it, until the process ends."""
    from gridtwin.web.simulation import Drive, frame_of

    work = run.demand.work
    if not len(work):
        raise InputError("none of the jobs can be simulated; they need submit and run times")
    sites = [
        {"name": name, "cores": cores}
        for name, cores in zip(run.platform.names, run.platform.cores.tolist(), strict=True)
    ]
    notes = [*run.demand.notes, *(f"{n} jobs not simulated: {r}" for r, n in run.demand.rejected)]
    begin, end = float(work.submit[0]), float(work.submit[-1])
    told = {"sites": sites, "jobs": len(work), "begin": begin, "span": end - begin}
    _tell(out, "ready", **told, moves=bool(run.platform.links), notes=notes)
    drive = Drive(run, start.speed)
    drive.step(0.0, BUDGET)  # which compiles the kernel where that was never done
    playing, state, last = not start.paused, "", monotonic()
    while True:
        stands = "done" if drive.over else "playing" if playing else "paused"
        if stands != state:
            state = stands
            _tell(out, "state", state=state)
        _tell(out, "frame", **frame_of(drive))
        wait = max(0.0, last + TICK - monotonic()) if playing else None
        if (action := _next(commands, wait)) is not None:
            was, playing = playing, _obey(action, drive, playing, out)
            last = last if was else monotonic()
            continue
        now = monotonic()
        drive.step(min(now - last, 2 * TICK), BUDGET)
        last, playing = now, not drive.over


def _next(commands: "queue.SimpleQueue[str]", wait: float | None) -> Action | None:
    """Return the next action, None if there is none within `wait` s."""
    try:
        return Action.model_validate_json(commands.get(timeout=wait))
    except queue.Empty:
        return None


def _obey(action: Action, drive: "Drive", playing: bool, out: IO[str]) -> bool:
    """Do what the user wants; return whether it plays then."""
    from gridtwin.sim import steer

    run, text = drive.run, ""
    try:
        match action.do:
            case "play":
                playing = True
            case "pause":
                playing = False
            case "speed":
                drive.speed = action.value or drive.speed
                _tell(out, "rule", speed=drive.speed)
            case "policy":
                steer.switch(run, action.policy or "", action.site)
                text = f"{action.policy} at {action.site or 'all sites'} from now on"
                if action.site is None:
                    _tell(out, "rule", policy=action.policy)
            case "broker":
                steer.switch_broker(run, action.broker or "")
                text = f"{action.broker} chooses sites from now on"
                _tell(out, "rule", broker=action.broker)
            case "close":
                steer.close(run, action.site or "")
                text = f"{action.site} taken down"
            case "reopen":
                steer.reopen(run, action.site or "")
                text = f"{action.site} back"
            case "load":
                steer.scale_load(run, action.value or 1.0)
                text = f"the load of the jobs to come times {action.value:g}"
    except GridtwinError as error:
        _tell(out, "note", text=str(error), bad=True, time=drive.since)
    if text:
        _tell(out, "note", text=text, bad=False, time=drive.since)
    return playing


if __name__ == "__main__":
    main()
