"""What-ifs from the form: the study file that one is, and the process that runs it."""

import asyncio
import json
import re
import secrets
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridtwin.core.files import writing
from gridtwin.sim.document import to_toml
from gridtwin.study.spec import Spec, parse
from gridtwin.web.live import BusyError
from gridtwin.web.shapes import Question, StudyState

__all__ = ["Studies", "study_file"]

_KEPT = 50


def study_file(question: Question) -> str:
    """Return the study of a question as TOML; paths in it start from the served folder."""
    workload: dict[str, Any] = {}
    if question.records is not None:
        workload = {"records": question.records, "days": question.days, "replicate": "days"}
    elif question.example == "panda":
        workload = {"example": "panda", "days": question.days, "scale": question.scale}
    else:
        workload = {"example": "lublin", "jobs": question.jobs}
    platform: dict[str, Any] = {"share": question.share}
    if question.cores is not None:
        platform["cores"] = question.cores
    elif question.records is None and question.example == "panda":
        platform["example"] = "panda"
    else:
        platform["observed"] = True
    policy: dict[str, Any] = {"broker": question.broker}
    if question.queue is not None:
        policy["queue"] = question.queue
    return to_toml(
        {
            "name": question.title,
            "seeds": question.seeds,
            "workload": workload,
            "platform": platform,
            "policy": policy,
            "whatif": _changes(question),
        }
    )


def _changes(question: Question) -> list[dict[str, Any]]:
    """Return the base and one what-if for each change."""
    found: list[dict[str, Any]] = [{"name": "base"}]
    if question.load is not None:
        found.append({"name": f"load x {question.load:g}", "load": question.load})
    if question.lost is not None:
        lost = {"site": question.lost, "at_days": question.lost_at_days, "days": question.lost_days}
        found.append({"name": f"{question.lost} lost", "lost": lost})
    switch: dict[str, Any] = {"at_days": question.switch_at_days}
    if question.switch_broker is not None:
        switch["broker"] = question.switch_broker
    if question.switch_queue is not None:
        switch["queue"] = question.switch_queue
    if len(switch) > 1:
        names = [name for name in (question.switch_broker, question.switch_queue) if name]
        found.append({"name": f"then {' and '.join(names)}", "switch": switch})
    return found


@dataclass
class _Study:
    path: str
    title: str
    total: int
    folder: Path
    process: Process
    ended: "asyncio.Task[None] | None" = None
    failed: str | None = None

    @property
    def shape(self) -> StudyState:
        running = self.process.returncode is None
        done = sum(1 for _ in (self.folder / "runs").glob("[!.]*.json"))
        state = StudyState(
            path=self.path, title=self.title, state="running", done=done, total=self.total
        )
        if self.failed is not None:
            return state.model_copy(update={"state": "failed", "text": self.failed})
        return state if running else state.model_copy(update={"state": "done"})


class Studies:
    """The studies of a server: one runs at a time, each in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.all: dict[str, _Study] = {}
        self._starting = asyncio.Lock()

    def shapes(self) -> list[StudyState]:
        """Return them, latest first."""
        return [study.shape for study in reversed(self.all.values())]

    async def start(self, question: Question) -> StudyState:
        """Write the file and run it.

        Raises `BusyError` where one runs, `InputError` where the question is no study.
        """
        async with self._starting:
            if any(study.process.returncode is None for study in self.all.values()):
                raise BusyError("a study runs already; wait until it is done")
            text = study_file(question)
            spec = await asyncio.to_thread(parse, text, root=self.root, at="study")
            study = await self._run(question, text, spec)
        for key in list(self.all)[: max(0, len(self.all) - _KEPT)]:
            del self.all[key]
        return study.shape

    async def _run(self, question: Question, text: str, spec: Spec) -> _Study:
        stem = re.sub(r"[^a-z0-9]+", "-", question.title.lower()).strip("-") or "what-if"
        path = f"{stem}-{secrets.token_hex(3)}"
        file = self.root / f"{path}.toml"
        with writing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
        folder = self.root / path
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gridtwin.web.study_child", str(file), str(folder)),
            stdin=PIPE,
            stdout=PIPE,
        )
        study = _Study(path, question.title, len(spec.runs), folder, process)
        study.ended = asyncio.create_task(_wait(study))
        self.all[path] = study
        return study

    async def close(self) -> None:
        """End what runs; ``gridtwin study resume`` goes on with it."""
        for study in self.all.values():
            if study.process.returncode is None:
                with suppress(ProcessLookupError):
                    study.process.kill()
            if study.ended is not None:
                await study.ended


async def _wait(study: _Study) -> None:
    """Wait until a study's process is gone; keep what it says went wrong."""
    said = b"" if study.process.stdout is None else await study.process.stdout.read()
    await study.process.wait()  # its stdin stays open until then: it ends with that
    if study.process.returncode:
        text = json.loads(said)["text"] if said.strip() else "its process was ended"
        study.failed = str(text)[:1000]
