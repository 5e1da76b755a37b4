"""Job records from files, folders and databases into Parquet, without holding all rows.

Memory, beside the libraries' own: one piece of a source (some 100,000 rows) for each worker, the
distinct words of users' names, 8 bytes for each row (a hash of its id, so that an id that comes
twice is seen), 16 more if an id does come twice, and 8 more if the rows have to be put in order. A
format that cannot be read in pieces takes one whole file for each worker.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import InputError
from gridtwin.core.executor import Executor
from gridtwin.core.files import sha256, writing
from gridtwin.core.progress import track
from gridtwin.trace.pseudonyms import Key
from gridtwin.trace.readers import Scan, paths_of, readers, sole_format
from gridtwin.trace.readers._manifest import manifest_path, write_manifest
from gridtwin.trace.sources import database
from gridtwin.trace.sources.account import account, refuse_rubbish, write_rejects
from gridtwin.trace.sources.convert import Describe, Options, Part, convert
from gridtwin.trace.sources.finish import (
    Hide,
    carry,
    columns_of,
    first_of_each,
    hiding,
    is_ready,
    rewrite,
)
from gridtwin.trace.table import JobTable, Provenance

__all__ = ["ingest", "refuse_overwriting"]

Keep = NDArray[np.bool_] | None
Work = Callable[..., Part]


def ingest(
    source: Path | str | Sequence[Path | str],
    output: Path | str,
    *,
    format: str = "auto",
    query: str | None = None,
    table: str | None = None,
    rejects: Path | str | None = None,
    keep_names: bool = False,
    queue_map: Path | str | None = None,
    executor: Executor | None = None,
) -> JobTable:
    """Convert job records of any size to Parquet of canonical rows; open what was written.

    Rows are read, repaired, refused and counted as `read` does, piece by piece. Only then, over
    all sources together, the first row of each ``job_id`` is kept, and rows are put in order of
    submission. A job without an id is named by its row.

    Parameters
    ----------
    source
        A file, a folder, several files of one format, or a database: a SQLite or DuckDB file, or
        the URL ``sqlite:///``, ``duckdb:///``, ``postgresql://`` or ``oracle://``.
    output
        A file ``….parquet``; or a folder, new or empty, for one file of Parquet per source, each
        in order of submission.
    query, table
        What to read from a database: a statement, or all of a table. The columns must be those of
        PanDA's job table or canonical ones.
    format, rejects, keep_names, queue_map
        As in `read`. Rows that share their id with an earlier one stand last in `rejects`.
    executor
        Where files are converted, one a task; by default here, one after the other. The output is
        the same wherever.

    Raises
    ------
    FormatError
        A source is empty, damaged, of another format or lacks columns; then nothing is written.
    InputError
        There is no such source, the database refuses, or what is to be written would overwrite a
        source; then nothing is written.
    MissingExtraError
        The database needs a library that is not installed.
    """
    output = Path(output)
    refuse_overwriting(source, output, rejects)
    _check(output)
    key = None if keep_names else Key.choose()
    own = None if queue_map is None else Path(queue_map)
    options = Options(own, key, rejects=rejects is not None)
    link = database.connect(source) if isinstance(source, (str, Path)) else None
    notes: list[str] = []
    if link is not None:
        asked = database.statement(query, table, link)
        notes.append(f"Query: {link.hidden(asked)}")
        what, name = link.shown, link.kind
        work: Work = partial(_convert_query, link=link, asked=asked)
        paths = [Path(what)]
    else:
        if query is not None or table is not None:
            raise InputError("only a database has a query or a table: leave them out for files")
        paths = paths_of(source)
        name = sole_format(paths, format)
        what = str(source) if isinstance(source, (str, Path)) else ", ".join(map(str, paths))
        work = partial(_convert_file, name=name)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        parts = [
            Part(Path(folder) / f"{i}.parquet", str(path), i if len(paths) > 1 else None)
            for i, path in enumerate(paths, start=1)
        ]

        def origin(of: list[Part], keep: Keep = None) -> Provenance:
            return account(of, keep, what, name, notes)

        if len(parts) == 1:
            describe = lambda part: carry(origin([part]))  # noqa: E731 - a line says it all
            parts = [work(parts[0], options, describe)]
        else:
            parts = _converted(parts, partial(work, options=options), executor or Executor())
        keep = first_of_each(parts)
        whole = origin(parts, keep)
        refuse_rubbish(whole)
        if rejects is not None:
            write_rejects(parts, keep, Path(rejects))
        hide = hiding(parts, key)
        if output.suffix == ".parquet":
            return _one_file(parts, keep, output, whole, hide)
        return _many_files(parts, keep, output, whole, Path(folder) / "parts", hide)


def refuse_overwriting(
    source: Path | str | Sequence[Path | str], output: Path, rejects: Path | str | None = None
) -> None:
    """Raise `InputError` if a file to write is one of the sources, or would be the next time.

    Links count as the file that they lead to. The manifest beside the output is looked at too.
    """
    targets = [] if rejects is None else [Path(rejects)]
    if output.suffix:
        targets += [output, manifest_path(output)]
    if len({target.resolve() for target in targets}) < len(targets):
        raise InputError(f"{rejects} cannot be the output and the list of rejects; name another")
    for one in [source] if isinstance(source, (str, Path)) else source:
        link = database.connect(one)
        path = Path(one if link is None else link.shown)
        read = [file for file in (paths_of(path) if path.is_dir() else [path]) if file.exists()]
        for target in targets:
            if target.exists() and any(target.samefile(file) for file in read):
                raise InputError(f"{target} would overwrite what is read; name another file")
            if path.is_dir() and target.resolve().parent == path.resolve():
                raise InputError(
                    f"{target} lies in the folder {path}, which is read: the next time it would be "
                    "read too; name a file elsewhere"
                )


def _converted(parts: list[Part], work: Callable[[Part], Part], executor: Executor) -> list[Part]:
    """Convert each file by itself; those without submit times once more if others have some."""
    done = list(track(executor.map(work, parts), "files", len(parts)))
    if not any(part.timed for part in done):
        return done
    again = [replace(part, timed=True) for part in done if not part.timed and part.rows_read]
    renewed = {part.path: part for part in executor.map(work, again)} if again else {}
    return [renewed.get(part.path, part) for part in done]


def _convert_file(
    part: Part, options: Options, describe: Describe | None = None, *, name: str
) -> Part:
    """Convert one file; a function of its own, so that another process can be handed it."""
    path, reader = Path(part.source), readers.get(name)
    part.sha256 = sha256(path)
    batches: Callable[..., Iterator[Scan]] | None = getattr(reader, "batches", None)
    if batches is None:
        return convert(lambda: [reader.scan(path)], part, options, describe)
    return convert(lambda: batches(path, raw=options.rejects), part, options, describe)


def _convert_query(
    part: Part,
    options: Options,
    describe: Describe | None = None,
    *,
    link: database.Link,
    asked: str,
) -> Part:
    return convert(lambda: link.scans(asked, raw=options.rejects), part, options, describe)


def _one_file(
    parts: list[Part], keep: Keep, output: Path, origin: Provenance, hide: Hide | None
) -> JobTable:
    with writing(output) as temporary:
        if is_ready(parts, keep, hide):
            parts[0].path.replace(temporary)
        else:
            rewrite(parts, keep, columns_of(parts), temporary, origin, hide)
    frame = pl.scan_parquet(output)
    rows = int(frame.select(pl.len()).collect().item())
    write_manifest(output, origin, rows, frame.collect_schema().names())
    return JobTable(frame, origin)


def _many_files(
    parts: list[Part],
    keep: Keep,
    output: Path,
    origin: Provenance,
    folder: Path,
    hide: Hide | None,
) -> JobTable:
    """Write a file for each part; all have the same columns."""
    folder.mkdir()
    columns, start, paths = columns_of(parts), 0, []
    for i, part in enumerate(parts):
        mask = None if keep is None else keep[start : start + part.rows]
        start += part.rows
        stem = Path(part.source).name.split(".")[0] or "part"
        path = folder / f"{i:05d}-{stem}.parquet"
        own = account([part], mask, part.source, origin.format)
        rewrite([part], mask, columns, path, own, hide)
        rows = part.rows if mask is None else int(mask.sum())
        write_manifest(path, own, rows, list(columns))
        paths.append(output / path.name)
    if output.is_dir():
        output.rmdir()  # it is empty: that was checked
    folder.replace(output)
    output.chmod(0o755)
    return JobTable.from_frame(pl.scan_parquet(paths), origin)


def _check(output: Path) -> None:
    """Raise `InputError` unless the output is a Parquet file or a folder that is free."""
    if output.suffix == ".parquet":
        return
    if output.suffix:
        raise InputError(
            f"cannot write {output.name!r} piece by piece; end it in .parquet, or name a folder"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} is not an empty folder; name a new one or a .parquet file")
