"""Charts as SVG, PDF and PNG, drawn in this process: no browser, no network."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import vl_convert

from gridtwin.core.errors import InputError
from gridtwin.core.files import writing
from gridtwin.report.theme import Chart

__all__ = ["Format", "formats", "inline", "save_figures", "to_svg"]

Format = Literal["svg", "pdf", "png"]

_TAG = re.compile(r"<[^>]*>")
_XMLNS = re.compile(r'\sxmlns(:\w+)?="[^"]*"')
_SPOKEN = re.compile(r'\s(role|aria-roledescription|aria-hidden|pointer-events)="[^"]*"')
_NUMBER = re.compile(r"(?<![\d.])-?\d+\.\d{3,}")
_PAPER = re.compile(r"(<svg[^>]*>)<rect[^>]*/>")
_ID = re.compile(r'(\bid="|url\(#|href="#)([^")]+)')


def to_svg(chart: Chart) -> str:
    """Return the chart as SVG text, the same for the same chart.

    Coordinates are rounded to 0.01 px, and ids are numbered from 0 (vl-convert numbers them on
    through all charts of a process).
    """
    svg: str = vl_convert.vegalite_to_svg(_spec(chart))
    numbers: dict[str, int] = {}

    def tidy(tag: re.Match[str]) -> str:
        text = _NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), tag[0])
        return _ID.sub(lambda m: f"{m[1]}i{numbers.setdefault(m[2], len(numbers))}", text)

    return _TAG.sub(tidy, svg)


def inline(svg: str, prefix: str, alt: str = "") -> str:
    """Return an SVG for a page: no namespace, no paper behind it, its ids its own, one picture.

    Parameters
    ----------
    svg
        Of `to_svg`.
    prefix
        Put before every id, so that two charts of one page do not share clip paths.
    alt
        What a screen reader says; already escaped.
    """

    def own(tag: re.Match[str]) -> str:
        text = _SPOKEN.sub("", _XMLNS.sub("", tag[0])).replace("xlink:href", "href")
        return _ID.sub(rf"\g<1>{prefix}-\g<2>", text)

    svg = _PAPER.sub(r"\1", _TAG.sub(own, svg), count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)


def formats(text: str) -> list[Format]:
    """Return the formats in a text such as "svg,pdf"; raises `InputError` for an unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in get_args(Format):
            known = ", ".join(get_args(Format))
            raise InputError(f"cannot write charts as {name!r}; the formats are {known}")
    return [name for name in get_args(Format) if name in names]


def save_figures(
    figures: Mapping[str, Chart], folder: Path | str, formats: Sequence[Format] = ("svg",)
) -> list[Path]:
    """Write each chart as ``folder/<key>.<format>`` and return the paths, in order.

    Raises `InputError` for a format other than svg, pdf and png.
    """
    for name in formats:
        if name not in get_args(Format):
            known = ", ".join(get_args(Format))
            raise InputError(f"cannot write charts as {name!r}; the formats are {known}")
    paths = []
    for key, chart in figures.items():
        for name in formats:
            path = Path(folder) / f"{key}.{name}"
            with writing(path) as temporary:
                temporary.write_bytes(_render(chart, name))
            paths.append(path)
    return paths


def _render(chart: Chart, name: Format) -> bytes:
    if name == "svg":
        return to_svg(chart).encode()
    if name == "pdf":
        return bytes(vl_convert.vegalite_to_pdf(_spec(chart)))
    return bytes(vl_convert.vegalite_to_png(_spec(chart), scale=2))


def _spec(chart: Chart) -> dict[str, Any]:
    specification: dict[str, Any] = chart.to_dict()
    return specification
