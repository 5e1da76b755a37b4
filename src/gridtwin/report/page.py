"""What the pages share: their templates, sections and the charts' own files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from gridtwin.core.files import writing
from gridtwin.report.export import Format, inline, save_figures, to_svg
from gridtwin.report.figures import Figure
from gridtwin.report.verdict import Headline

__all__ = ["Cell", "Line", "Section", "Table", "environment", "save", "sections", "write_results"]

Section = tuple[str, str, str]
"""Key, title and introduction of a section."""


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


def write_results(
    path: Path | str,
    *,
    command: str,
    title: str,
    sentences: Sequence[str],
    cards: Sequence[Headline],
    wanted: Sequence[Section],
    figures: Sequence[Figure],
    tables: Mapping[str, Sequence[Table]],
    definitions: Sequence[tuple[str, str]],
    provenance: Sequence[tuple[str, str]],
) -> Path:
    """Write the page of a command's results: verdict, sections of charts and tables, definitions.

    Parameters
    ----------
    command
        As in "gridtwin benchmark".
    sentences
        The verdict, first what sums it up.
    wanted
        The sections in order; one without a figure and a table is left out.
    tables
        By the key of their section.
    """
    pictures = {figure.key: to_svg(figure.chart) for figure in figures}
    page = (
        environment()
        .get_template("results.html.j2")
        .render(
            command=command,
            title=title,
            sentences=sentences,
            cards=cards,
            sections=sections(figures, pictures, wanted, tables),
            definitions=definitions,
            provenance=provenance,
        )
    )
    path = Path(path)
    with writing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def sections(
    drawn: Sequence[Figure],
    pictures: Mapping[str, str],
    wanted: Sequence[Section],
    tables: Mapping[str, Sequence[Table]] | None = None,
) -> list[dict[str, Any]]:
    """Return the sections that have a figure or a table, with their figures ready to print.

    `wanted` has them in order; `tables` goes by their keys.
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
        below = (tables or {}).get(key, ())
        if inside or below:
            section = {"key": key, "title": title, "intro": intro}
            found.append({**section, "figures": inside, "tables": below})
    return found
