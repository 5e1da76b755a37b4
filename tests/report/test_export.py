import re

import polars as pl
import pytest

from gridtwin.core.errors import InputError
from gridtwin.report import charts, save_figures
from gridtwin.report.export import inline, to_svg


@pytest.fixture(scope="module")
def chart():
    frame = pl.DataFrame({"x": [1.0, 2.0], "share": [0.5, 1.0], "trace": ["real", "real"]})
    return charts.distribution(frame, 'Cost <of> "0.12345" & more')


def test_save_figures_writes_each_format(chart, tmp_path):
    paths = save_figures({"one": chart}, tmp_path / "new", ["svg", "pdf", "png"])
    assert [path.name for path in paths] == ["one.svg", "one.pdf", "one.png"]
    starts = [path.read_bytes()[:4] for path in paths]
    assert starts == [b"<svg", b"%PDF", b"\x89PNG"]


def test_unknown_format_is_refused_before_anything_is_written(chart, tmp_path):
    with pytest.raises(InputError, match="svg, pdf, png"):
        save_figures({"one": chart}, tmp_path, ["svg", "gif"])
    assert list(tmp_path.iterdir()) == []


def test_svg_names_fonts_that_every_machine_has_and_keeps_texts_as_they_are(chart):
    svg = to_svg(chart)
    assert "sans-serif" in svg
    assert "0.12345" in svg
    assert "Cost &lt;of" in svg


def test_rounding_touches_coordinates_only(chart):
    numbers = re.findall(r"-?\d+\.\d{3,}", "".join(re.findall(r"<[^>]*>", to_svg(chart))))
    assert numbers == []


def test_inline_gives_every_chart_its_own_ids(chart):
    page = inline(to_svg(chart), "a") + inline(to_svg(chart), "b", "Second")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert ids
    assert len(ids) == len(set(ids))
    used = set(re.findall(r"url\(#([^)]+)\)", page))
    assert used
    assert used <= set(ids)
    assert "xmlns" not in page
    assert 'aria-label="Second"' in page
