"""What the pages share: their templates, sections and the charts' own files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from gridtwin.core.files import writing
from gridtwin.report.export import Format, inline, save_figures
from gridtwin.report.figures import Figure

__all__ = ["Cell", "Line", "Table", "environment", "save", "sections"]


@dataclass(frozen=True)
class Cell:
    """A value of a table; `note` stands small below it, `mark` is a class of the style sheet."""

    value: str
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table."""

    name: str
    cells: Sequence[Cell]
    note: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page; `head` names the first column too."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Line]


def save(
    drawn: Sequence[Figure], pictures: Mapping[str, str], folder: Path, formats: Sequence[Format]
) -> None:
    """Write the charts' own files; SVGs are those of the page, not drawn twice."""
    if "svg" in formats:
        for key, svg in pictures.items():
            with writing(folder / f"{key}.svg") as temporary:
                temporary.write_text(svg, encoding="utf-8")
    others = [name for name in formats if name != "svg"]
    save_figures({figure.key: figure.chart for figure in drawn}, folder, others)


def environment() -> jinja2.Environment:
    """Return the templates' environment: every value is escaped unless it is our own markup."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("gridtwin.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def sections(
    drawn: Sequence[Figure], pictures: Mapping[str, str], wanted: Sequence[tuple[str, str, str]]
) -> list[dict[str, Any]]:
    """Return the sections that have a figure, with their figures ready to print.

    `wanted` has key, title and introduction of each, in order.
    """
    found = []
    for key, title, intro in wanted:
        inside = [
            {
                "key": figure.key,
                "title": figure.title,
                "caption": figure.caption,
                "size": figure.size,
                # vl-convert escapes the texts within the picture; the rest is its own markup
                "svg": Markup(inline(pictures[figure.key], figure.key, str(escape(figure.title)))),
            }
            for figure in drawn
            if figure.section == key
        ]
        if inside:
            found.append({"key": key, "title": title, "intro": intro, "figures": inside})
    return found
