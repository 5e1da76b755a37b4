"""The live simulations of a server: their processes, where they stand, and who looks on.

Each runs in a process of its own (`gridtwin.web.child`). What it says is kept once, as at most
`MOST_POINTS` points and the sites as they stand; a browser has nothing but a mark up to which it
has been told, so that a slow one gets fewer and fuller frames, and a fast one every one.
"""

import asyncio
import json
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from gridtwin.core.errors import GridtwinError
from gridtwin.web.shapes import Action, LiveState, Start, State

__all__ = ["BusyError", "Limits", "Live", "Lives", "stream"]

MOST_POINTS = 600
MOST_NOTES = 100
_LINE = 4 << 20
_GAP = 0.05
_BEAT = 5.0


class BusyError(GridtwinError):
    """As many run or look on as may."""


@dataclass(frozen=True)
class Limits:
    """What a server gives live simulations; times in s."""

    running: int = 2
    """Processes at a time."""
    kept: int = 8
    """Simulations, ended ones among them."""
    watchers: int = 20
    """Of one simulation."""
    alone: float = 600.0
    """That a simulation goes on unwatched."""
    life: float = 4 * 3600.0
    """That a process lives."""
    loading: float = 900.0


@dataclass
class Live:
    """A live simulation as the server knows it."""

    start: Start
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    state: State = "loading"
    points: list[list[float]] = field(default_factory=list)
    """Rows of time, queued, running, busy cores, open cores, rate."""
    generation: int = 0
    """Of `points`: they were thinned so often."""
    version: int = 0
    """Of everything: it rises with each change."""
    watchers: int = 0
    born: float = field(default_factory=monotonic)
    seen: float = field(default_factory=monotonic)
    """When somebody looked on last."""
    process: Process | None = None
    reader: "asyncio.Task[None] | None" = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    told: dict[str, Any] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    _stride: int = 1
    _count: int = 0

    def __post_init__(self) -> None:
        start = self.start
        if start.records is not None:
            name = start.records
        else:
            size = f"{start.days} days" if start.example == "panda" else f"{start.jobs:,} jobs"
            name = f"example {start.example}, {size}"
        self.told = {
            "title": start.title.strip() or name,
            "speed": start.speed,
            "policy": start.policy,
            "broker": start.broker,
            "jobs": 0,
            "begin": 0.0,
            "span": 0.0,
            "moves": False,
            "sites": [],
            "now": None,
            "progress": None,
            "at_sites": None,
        }

    @property
    def over(self) -> bool:
        """Whether its process is gone or goes."""
        return self.state in ("failed", "ended")

    def shape(self) -> LiveState:
        """Return it as the API tells it."""
        told = {**self.told, "notes": self.notes, "watchers": self.watchers}
        return LiveState.model_validate({**told, "id": self.id, "state": self.state})

    def hear(self, line: dict[str, Any]) -> None:
        """Take in a line of the process."""
        match line.pop("kind"):
            case "ready":
                notes = line.pop("notes")
                self.told |= line
                self.generation += 1  # so that the sites are told to who looks on already
                for text in notes:
                    self.note(text)
            case "frame":
                self.told |= line
                self._keep(line["now"])
            case "state":
                self.state = line["state"]
            case "rule":
                self.told |= line
            case "note":
                self.note(line["text"], bad=line["bad"], time=line["time"])
            case "failed":
                self.state = "failed"
                self.note(line["text"], bad=True)
        self._wake()

    def note(self, text: str, *, bad: bool = False, time: float | None = None) -> None:
        """Keep a note; the oldest go when there are too many."""
        self.notes.append({"time": time, "text": text[:500], "bad": bad})
        del self.notes[:-MOST_NOTES]

    def finish(self, state: State, text: str) -> None:
        """Say that it is over, once."""
        if not self.over:
            self.state = state
            self.note(text)
            self._wake()

    def frame(self, cursor: tuple[int, int]) -> tuple[str, tuple[int, int]]:
        """Return what is new since `cursor` (generation, points), as JSON, and the new cursor."""
        generation, have = cursor
        reset = generation != self.generation
        told = {name: value for name, value in self.told.items() if reset or name != "sites"}
        body = {
            **told,
            "id": self.id,
            "state": self.state,
            "notes": self.notes,
            "watchers": self.watchers,
            "reset": reset,
            "points": self.points[0 if reset else have :],
        }
        return json.dumps(body), (self.generation, len(self.points))

    def _keep(self, now: dict[str, float]) -> None:
        skip, self._count = self._count % self._stride, self._count + 1
        if skip:
            return
        row = [now[k] for k in ("time", "queued", "running", "busy_cores", "open_cores", "rate")]
        if self.points and self.points[-1][0] == row[0]:
            self.points[-1] = row
            return
        self.points.append(row)
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
            self._stride *= 2
            self.generation += 1

    def _wake(self) -> None:
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()


class Lives:
    """All live simulations of a server."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self.root = root
        self.limits = limits or Limits()
        self.all: dict[str, Live] = {}
        self.closing = False

    @property
    def running(self) -> int:
        """Processes at the moment."""
        return sum(not live.over for live in self.all.values())

    async def start(self, start: Start) -> Live:
        """Start a simulation; raises `BusyError` where as many run as may."""
        if self.closing or self.running >= self.limits.running:
            raise BusyError(
                f"{self.limits.running} live simulations run already; end one of them first"
            )
        over = [key for key, live in self.all.items() if live.over]
        for key in over[: max(0, len(self.all) + 1 - self.limits.kept)]:
            del self.all[key]
        live = Live(start)
        self.all[live.id] = live
        live.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gridtwin.web.child", str(self.root)),
            stdin=PIPE,
            stdout=PIPE,
            limit=_LINE,
        )
        live.reader = asyncio.create_task(self._read(live))
        await self._send(live, start.model_dump_json())
        return live

    async def steer(self, live: Live, action: Action) -> None:
        """Hand on an action; raises `BusyError` where the simulation does not go on any more."""
        if live.over or live.state == "loading":
            raise BusyError(f"this simulation is {live.state}; it takes no actions now")
        await self._send(live, action.model_dump_json())

    async def end(self, live: Live, text: str = "ended") -> None:
        """End a simulation and wait until its process is gone."""
        live.finish("ended", text)
        process = live.process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if live.reader is not None and live.reader is not asyncio.current_task():
            await live.reader

    async def close(self) -> None:
        """End them all; none can be started afterwards."""
        self.closing = True
        for live in list(self.all.values()):
            await self.end(live, "the server was stopped")

    async def sweep(self) -> None:
        """End those that nobody watches, or that have lived too long."""
        now = monotonic()
        for live in list(self.all.values()):
            if live.over:
                continue
            age, alone = now - live.born, 0.0 if live.watchers else now - live.seen
            if live.state == "loading" and age > self.limits.loading:
                await self.end(live, f"not loaded within {self.limits.loading:g} s")
            elif age > self.limits.life:
                await self.end(live, f"ended after {self.limits.life:g} s")
            elif alone > self.limits.alone:
                await self.end(live, f"ended: nobody looked on for {self.limits.alone:g} s")

    async def _send(self, live: Live, line: str) -> None:
        stdin = live.process.stdin if live.process else None
        if stdin is not None:
            with suppress(ConnectionError):
                stdin.write(line.encode() + b"\n")
                await stdin.drain()

    async def _read(self, live: Live) -> None:
        """Listen to a process until it is gone."""
        process = live.process
        if process is None or process.stdout is None:
            return
        while line := await process.stdout.readline():
            live.hear(json.loads(line))
            await asyncio.sleep(0)
        code = await process.wait()
        live.finish("failed", f"its process ended with code {code}")


async def stream(live: Live) -> AsyncIterator[str]:
    """Yield what a simulation does as server-sent events until it is over."""
    live.watchers += 1
    cursor = (-1, 0)
    try:
        while True:
            changed = live.changed
            frame, cursor = live.frame(cursor)
            yield f"data: {frame}\n\n"
            if live.over:
                yield "event: over\ndata: {}\n\n"
                return
            await asyncio.sleep(_GAP)
            while not changed.is_set():
                try:
                    await asyncio.wait_for(changed.wait(), _BEAT)
                except TimeoutError:
                    yield ": still here\n\n"
    finally:
        live.watchers -= 1
        live.seen = monotonic()
