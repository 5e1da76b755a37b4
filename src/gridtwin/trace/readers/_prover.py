"""Read Parquet for a process that does not dare to yet: what is damaged may end this one.

A script of its own that `_proof` starts; it knows Polars and nothing of gridtwin. A request is a
line of JSON on standard input: ``path``, ``rows`` (true: read all of it, else its footer alone)
and ``size`` (read that many rows at a time; null: all at once). Standard output has ``{}`` for
each piece that was read, and at the end ``columns`` and ``metadata``, or an ``error``.
"""

import json
import resource
import sys
from contextlib import suppress
from os import sysconf
from pathlib import Path

import polars as pl

_OWN = 4 << 30  # address space that the interpreter, Polars and its threads take by themselves


def main() -> None:
    """Answer one request after the other until there are no more."""
    with suppress(OSError):  # where memory runs out, this process is the one to end
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = _read(asked["path"], rows=asked["rows"], size=asked["size"])
        except (Exception, pl.exceptions.PanicException) as error:
            answer = {"error": str(error)[:500] or type(error).__name__}
        _say(answer)


def _read(path: str, *, rows: bool, size: int | None) -> dict[str, object]:
    """Read as `_parquet` does, with the same calls, and forget the rows."""
    _limit(Path(path).stat().st_size)
    columns = list(pl.read_parquet_schema(path))
    metadata = dict(pl.read_parquet_metadata(path))
    if rows and size is None:
        pl.read_parquet(path)
    elif rows:
        frame = pl.scan_parquet(path)
        total = frame.select(pl.len()).collect().item()
        for start in range(0, max(total, 1), size or 1):
            frame.slice(start, size).collect()
            _say({})
    return {"columns": columns, "metadata": metadata}


def _limit(file: int) -> None:
    """Let this process have as much memory as the machine has: more cannot be meant."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = sysconf("SC_PAGE_SIZE") * sysconf("SC_PHYS_PAGES") + file + _OWN
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    with suppress(OSError, ValueError):  # not every system has this limit
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
