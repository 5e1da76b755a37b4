"""Write the pages of the reference that follow from the code; ``--check`` only compares.

Run by ``make docs``. ``docs/reference/schema.md`` comes from ``trace/fields.toml``,
``docs/reference/cli.md`` from the command line's own help, ``docs/reference/metrics.md`` from the
metrics' docstrings.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from gridtwin import metrics
from gridtwin.cli import app
from gridtwin.trace import TraceSchema

HERE = Path(__file__).parent / "reference"
BEST = {"min": "0", "half": "0.5", "one": "1", "heldout": "that of held-out real jobs"}
BEST["weeks"] = "at most that of real weeks"
WITH = {
    "rows": "the training jobs",
    "unseen": "the held-out jobs",
    "memory": "the training jobs",
    "split": "training and held-out jobs at once",
    "arrivals": "whole weeks of the real trace",
    "queue": "whole weeks of the real trace, run through a scheduler",
}


def schema_page() -> str:
    """Return the table of canonical fields."""
    rows = [
        "# Canonical fields of a job record",
        "",
        "Generated from `src/gridtwin/trace/fields.toml` by `make docs`; do not edit.",
        "",
        "*Known* is the instant from which a policy may see the field. A field may be null unless",
        "it says *required*; a column that a source lacks is absent.",
        "",
        "| field | type | unit | kind | known | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for f in TraceSchema.canonical():
        meaning = f.meaning if f.nullable else f"{f.meaning} (required)"
        cells = (f"`{f.name}`", f.dtype, f.unit, f.kind, f.known, meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    formats = sorted({name for f in TraceSchema.canonical() for name in f.source})
    rows += ["", "## Where each format has it", ""]
    rows.append("| field | " + " | ".join(formats) + " |")
    rows.append("| --- |" + " --- |" * len(formats))
    for f in TraceSchema.canonical():
        cells = [f.source.get(name, "").replace("|", "\\|") for name in formats]
        rows.append(f"| `{f.name}` | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def cli_page() -> str:
    """Return every command with its arguments and options."""
    rows = ["# Command line", "", "Generated from the commands by `make docs`; do not edit.", ""]
    rows += [
        "Every command takes `--help`; `--debug` anywhere shows the traceback of an error.",
        "",
    ]
    rows += ["Exit codes: 0 fine, 1 the input is bad or a check failed, 2 wrong usage.", ""]
    for name, command in _commands(get_command(app), ""):
        rows += [f"## gridtwin {name}", "", inspect.cleandoc(command.help or ""), ""]
        rows += ["| argument or option | default | meaning |", "| --- | --- | --- |"]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            option = parameter.param_type_name == "option"
            both = parameter.opts + parameter.secondary_opts
            label = ", ".join(both) if option else parameter.metavar or parameter.name
            default = "required" if parameter.required else _default(parameter.default)
            rows.append(f"| `{label}` | {default} | {parameter.help or ''} |")
        rows.append("")
    return "\n".join(rows)


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - click's
    """Give every command with its full name; a group is its commands."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def _default(value: object) -> str:
    return "" if value is None or value is False or value == "" else f"`{value}`"


def metrics_page() -> str:
    """Return every metric with its goal and its definition."""
    rows = [
        "# Metrics",
        "",
        "Generated from the metrics' own definitions by `make docs`; do not edit.",
    ]
    rows += ["", "See [how to read the scores](../explanation/scores.md)."]
    for name in metrics.names():
        metric = metrics.get(name)
        rows += [
            "",
            f"## {name}",
            "",
            f"Best: {BEST[metric.goal]}. Compared with {WITH[metric.on]}.",
            "",
            metric.definition,
        ]
    return "\n".join(rows) + "\n"


PAGES = {"schema.md": schema_page, "cli.md": cli_page, "metrics.md": metrics_page}

if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    stale = []
    for name, page in PAGES.items():
        path, text = HERE / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(f"out of date: {', '.join(stale)}; run 'make docs'")
