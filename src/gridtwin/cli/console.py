"""What the commands share: reading a trace, printing a table or one JSON document."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gridtwin.core.executor import Executor
    from gridtwin.trace import JobTable

__all__ = [
    "Cores",
    "Json",
    "Seed",
    "Where",
    "WhereOption",
    "Workers",
    "executor",
    "json_text",
    "number",
    "print_json",
    "print_table",
    "read",
    "say",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]
Cores = Annotated[
    int | None, typer.Option(min=1, help="Size of the machine; by default the trace's own.")
]


class Where(StrEnum):
    """Where tasks run."""

    serial = "serial"
    processes = "processes"
    ray = "ray"


Workers = Annotated[
    int | None, typer.Option(min=0, help="Tasks at a time, each on one core; 0: all cores.")
]
WhereOption = Annotated[
    Where | None,
    typer.Option(
        "--executor",
        help="Where tasks run: here, in local processes, or on Ray (RAY_ADDRESS or a local one); "
        "the results are the same.",
    ),
]


def executor(where: Where | None, workers: int | None) -> "Executor":
    """Return the executor asked for: without either option here, one task after the other."""
    from gridtwin.core.executor import Executor

    if where is None:
        where = Where.serial if workers in (None, 1) else Where.processes
    return Executor(where.value, workers or 0)


def read(path: Path) -> "JobTable":
    """Read a trace of any known format; say on stderr how many rows could not be kept."""
    import gridtwin

    jobs = gridtwin.read(path)
    for reason, rows in jobs.provenance.dropped.items():
        say(f"{path}: {rows} of {jobs.provenance.rows_read} rows not kept: {reason}")
    return jobs


def say(text: str) -> None:
    """Print a line for the human on stderr."""
    typer.echo(text, err=True)


def json_text(document: Mapping[str, Any]) -> str:
    """Return a document as JSON; what that has no number for (NaN, infinity) becomes null."""
    return json.dumps(_plain(document), indent=2, allow_nan=False)


def print_json(document: Mapping[str, Any]) -> None:
    """Print a document on stdout, as `json_text` has it."""
    typer.echo(json_text(document))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout; numbers stand to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    body = [list(row) for row in rows]
    for i, name in enumerate(columns):
        numeric = all(isinstance(row[i], int | float | None) for row in body)
        table.add_column(name, justify="right" if numeric and body else "left", overflow="fold")
    for row in body:
        table.add_row(*(number(cell) for cell in row))
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=160)
    console.print(title, style="bold", soft_wrap=True)
    console.print(table)


def number(value: object) -> str:
    """Return a cell's text: four figures for a float, a range, nothing for None."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
        case [low, high]:
            return f"{number(low)} to {number(high)}"
        case _:
            return str(value)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value in types that JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # a NumPy number or array
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
