import re
from html.parser import HTMLParser

import polars as pl
import pytest

from gridtwin.analysis import Analysis, Kpi, analyse
from gridtwin.report.analysis import kpi_text, write_analysis
from gridtwin.report.analysis_figures import SECTIONS, analysis_figures
from gridtwin.trace import JobTable, Provenance, examples
from gridtwin.trace.examples import panda


class Page(HTMLParser):
    """Collects tags, what they would load, ids and links of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.links, self.ids = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.loads += [
            name for name, _ in attrs if name in ("src", "data") or name.startswith("on")
        ]
        self.links += [value for name, value in attrs if name.endswith("href")]


@pytest.fixture(scope="module")
def grid():
    return analyse(examples.load("panda", days=9, scale=0.05))


@pytest.fixture(scope="module")
def written(grid, tmp_path_factory):
    folder = tmp_path_factory.mktemp("analysis")
    path = write_analysis(folder, grid, title="A <grid>", figures=("svg", "pdf"))
    return folder, path.read_text(encoding="utf-8")


def test_the_page_loads_nothing_and_its_links_stay_inside(written):
    page = Page(written[1])
    assert page.loads == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert "http:" not in written[1]
    assert "https:" not in written[1]


def test_a_synthetic_example_is_called_one(written, jobs):
    assert "synthetic example" in written[1].split("<h1>")[0]
    assert "A &lt;grid&gt;" in written[1]


def test_real_jobs_are_not_called_synthetic(jobs, tmp_path):
    text = write_analysis(tmp_path, analyse(jobs), title="Mine", figures=()).read_text()
    assert "synthetic" not in text.split("<h1>")[0]
    assert "The table has no error_codes" in text
    assert not (tmp_path / "figures").exists()


def test_sections_are_in_order_and_every_chart_has_its_files(grid, written):
    folder, text = written
    places = [text.find(f'<section id="{key}"') for key, _, _ in SECTIONS]
    assert all(place > 0 for place in places)
    assert places == sorted(places)
    for figure in analysis_figures(grid):
        assert (folder / "figures" / f"{figure.key}.svg").stat().st_size > 500
        assert (folder / "figures" / f"{figure.key}.pdf").read_bytes()[:4] == b"%PDF"


def test_every_key_figure_has_its_definition_and_n(grid, written):
    table = written[1].split('<section id="figures"')[1]
    for kpi in grid.kpis.values():
        assert f"{kpi.n:,}" in table
    assert len(re.findall(r'data-label="Definition">[^<]', table)) == len(grid.kpis)


def test_a_table_without_jobs_has_a_page(tmp_path):
    empty = JobTable.from_frame(pl.DataFrame(schema={"job_id": pl.String}), Provenance())
    text = write_analysis(tmp_path, analyse(empty), title="x").read_text()
    assert "The table has no status" in text
    assert analysis_figures(Analysis({}, {}, {})) == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (90.0, "s", "90 s"),
        (0.123, "share", "12 %"),
        (None, "s", "unknown"),
        (5, "sites", "5 sites"),
    ],
)
def test_key_figures_in_their_units(value, unit, text):
    assert kpi_text(Kpi(value, unit, "d", 1)) == text


def test_no_chart_calls_a_single_trace_real(written):
    assert ">real<" not in written[1]


def test_places_are_called_what_they_are(jobs):
    queues = jobs.with_frame(jobs.frame.with_columns(queue=pl.Series(["a", "b"] * 150)))
    titles = {figure.title for figure in analysis_figures(analyse(queues))}
    assert "Failure rate by queue" in titles
    assert not any("site" in title for title in titles)


def test_times_that_nobody_knows_are_no_series():
    cores = JobTable.from_frame(
        pl.DataFrame({"job_id": ["1", "2"], "cores_req": [1, 8]}), Provenance()
    )
    (sizes,) = [f for f in analysis_figures(analyse(cores)) if f.key == "sizes"]
    assert sizes.chart.data["series"].unique().to_list() == ["jobs"]


def test_without_records_the_page_says_unknown(written):
    assert "Remote data access" in written[1]
    card = written[1].split("Remote share</span>")[1].split("</li>")[0]
    assert "<strong>unknown</strong>" in card


def test_records_of_access_have_their_charts(tmp_path):
    x = panda.load_traces(1, scale=0.05)
    told = analyse(
        x.jobs, traces=x.traces, files=x.files, transfers=x.transfers, rses=x.rses, truth=x.truth
    )
    drawn = {figure.key: figure for figure in analysis_figures(told)}
    assert {"access_by_class", "access_by_site", "access_read_recovered"} <= set(drawn)
    parts = drawn["access_by_class"].chart.data
    sums = parts.group_by("label").agg(pl.col("value").sum())
    assert sums["value"].to_list() == pytest.approx([1.0] * 3, abs=1e-6)
    rows = drawn["access_read_recovered"].chart.data
    known = rows.filter(pl.col("series") != "false").group_by("label").agg(pl.col("value").sum())
    assert known["value"].to_list() == pytest.approx([1.0] * 3)
