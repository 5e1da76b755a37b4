"""Parquet from elsewhere is read by another process before it is read here.

A damaged file can end the process that reads it: a length in it asks for more memory than there
is, or Polars' threads panic, with their say on standard error. So a file is first read by a child
process, with the same calls, which tells the names of its columns, or that it could not. A file
with a manifest of gridtwin's that fits its bytes is not read twice.

Cost: starting the child, once (0.4 s of CPU time), and as much time and memory as reading the
file; the manifest's fingerprint, where there is one, instead.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import polars as pl

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers._manifest import stored

__all__ = ["FAILS", "Footer", "footer", "prove", "unreadable"]

FAILS = (pl.exceptions.PolarsError, OSError, ValueError, TypeError, pl.exceptions.PanicException)
"""What Polars raises where a file is not as it should be."""

_PATIENCE = 300.0  # s without a sign of life, and
_SLOWEST = 1e7  # bytes/s of the file besides
_LARGE = 1 << 28  # bytes; a child that read such a file is let go, with the memory that it took
_SCRIPT = Path(__file__).with_name("_prover.py")


@dataclass(frozen=True)
class Footer:
    """What a file says of itself beside its rows."""

    columns: tuple[str, ...]
    metadata: dict[str, str]


def footer(path: Path) -> Footer:
    """Return a file's footer; raises `FormatError` where it has none that can be read."""
    return _footer(path.absolute(), _stamp(path))


def prove(path: Path, size: int | None) -> None:
    """Raise `FormatError` unless all rows can be read, `size` at a time or at once for None."""
    _prove(path.absolute(), _stamp(path), size)


def unreadable(path: Path, why: object) -> FormatError:
    """Return the error of a file that is damaged or no Parquet."""
    return FormatError(f"{path} is no readable Parquet file: {why}")


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file does."""
    try:
        stat = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=4096)
def _is_own(path: Path, stamp: tuple[int, ...]) -> bool:
    """Tell whether gridtwin wrote the file as it is now."""
    return stored(path) is not None


@lru_cache(maxsize=4096)
def _footer(path: Path, stamp: tuple[int, ...]) -> Footer:
    if not _is_own(path, stamp):
        return _CHILD.ask(path, rows=False)
    try:
        return Footer(tuple(pl.read_parquet_schema(path)), dict(pl.read_parquet_metadata(path)))
    except FAILS as error:
        raise unreadable(path, error) from error


@lru_cache(maxsize=4096)
def _prove(path: Path, stamp: tuple[int, ...], size: int | None) -> None:
    if not _is_own(path, stamp):
        _CHILD.ask(path, rows=True, size=size)


class _Child:
    """The process that reads first: started when it is needed, and anew when it has ended."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        atexit.register(self.close)

    def ask(self, path: Path, *, rows: bool, size: int | None = None) -> Footer:
        """Have a file read; raises `FormatError` where it cannot be, or ends the process."""
        bytes_ = path.stat().st_size
        request = json.dumps({"path": str(path), "rows": rows, "size": size})
        with self._lock:
            answer = None
            try:
                process = self._running()
                answer = _answer(process, request, _PATIENCE + bytes_ / _SLOWEST)
            finally:
                if answer is None or (rows and bytes_ > _LARGE):
                    self.close()
        if answer is None:
            raise unreadable(
                path,
                f"reading it ended another process ({_end(process)}), so it is damaged or needs "
                "more memory than there is: fetch it again, or write it in smaller row groups",
            )
        if "error" in answer:
            raise unreadable(path, answer["error"])
        return Footer(tuple(answer["columns"]), answer["metadata"])

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None and self._owner == os.getpid():
            process.kill()
            process.communicate()

    def _running(self) -> subprocess.Popen[str]:
        if self._owner != os.getpid() or self._process is None or self._process.poll() is not None:
            self.close()
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # panics are told in full; the answer says enough
                encoding="ascii",
            )
        return self._process


_CHILD = _Child()


def _answer(process: subprocess.Popen[str], request: str, patience: float) -> dict[str, Any] | None:
    """Return the last answer to a request, None where the process ended before or is silent."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{request}\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    answer: dict[str, Any] = {}
    while not answer:
        timer = Timer(patience, process.kill)
        timer.start()
        try:
            line = process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            return None
        answer = json.loads(line)
    return answer


def _end(process: subprocess.Popen[str]) -> str:
    """Return how a process ended."""
    code = process.returncode
    if code == -signal.SIGKILL:
        return "no sign of life, or no memory left: SIGKILL"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
