import json

import polars as pl
import pytest

from gridtwin.core.errors import FormatError
from gridtwin.report import write_simulation_report
from gridtwin.report.maps import by_country, countries
from gridtwin.sim import Platform, Site, simulate

EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def page(read_page):
    def write(folder):
        text = write_simulation_report(folder).read_text(encoding="utf-8")
        return read_page(text), text

    return write


@pytest.fixture(scope="module")
def grid(jobs, tmp_path_factory, page):
    folder = tmp_path_factory.mktemp("grid")
    sites = tuple(Site.of(name, 64) for name in ("CERN", "BNL", EVIL))
    simulate(jobs, platform=Platform(sites), broker="least_loaded").save(folder)
    return page(folder)


@pytest.fixture(scope="module")
def machine(jobs, tmp_path_factory, page):
    folder = tmp_path_factory.mktemp("machine")
    few = jobs.with_frame(jobs.collect().head(60))
    result = simulate(few, cores=64, policy="fcfs")
    result.save(folder)
    return page(folder), result


def test_the_page_loads_nothing_and_names_are_text(grid):
    found, text = grid
    assert found.loads == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(found.tags)
    assert "http:" not in text
    assert "https:" not in text
    assert EVIL in found.words()
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links} <= set(found.ids)


def test_parts_of_a_grid_are_in_order(grid):
    order = ['id="summary"', "sent by least_loaded", 'class="cards"', 'id="queue_over_time"',
             'id="use_over_time"', 'id="cdf_wait_time"', 'id="map"', "Sites by core-hours",
             'id="gantt"', 'id="figures"', 'id="provenance"']  # fmt: skip
    places = [grid[1].index(part) for part in order]
    assert places == sorted(places)
    assert "1 sites of no known country are not drawn" in grid[0].words()


def test_a_machine_has_all_its_jobs_drawn_and_no_map(machine):
    (found, _), result = machine
    words = found.words()
    assert f"All {len(result.jobs)} attempts that started." in words
    assert "map" not in found.ids
    assert "sites" not in found.ids
    assert "60 jobs ran under fcfs on 64 cores." in words


def test_jobs_that_all_finish_differ_by_their_cores(jobs, tmp_path, page):
    finished = jobs.with_frame(jobs.collect().head(60).with_columns(status=pl.lit("finished")))
    simulate(finished, cores=64, policy="fcfs").save(tmp_path)
    words = page(tmp_path)[0].words()
    assert "Jobs by cores" in words
    assert "9 to 64" in words


def test_of_many_jobs_a_part_is_drawn(grid):
    assert "150 of 300 attempts" in grid[0].words()


def test_no_wait_is_called_no_test_of_policies(jobs, tmp_path, page):
    simulate(jobs, cores=1_000_000).save(tmp_path)
    assert "this run says nothing about policies" in page(tmp_path)[0].words()


def test_no_jobs_have_a_page(jobs, tmp_path, page):
    simulate(jobs.with_frame(jobs.collect().head(0)), cores=4).save(tmp_path)
    assert "0 jobs ran" in page(tmp_path)[0].words()


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "summary.json").write_text("[1]")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "jobs.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "timeline.parquet")
    with pytest.raises(FormatError, match="no simulation's folder"):
        write_simulation_report(tmp_path)
    document = {key: {} for key in ("summary", "platform", "provenance")}
    (tmp_path / "summary.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="gridtwin simulate"):
        write_simulation_report(tmp_path)


def test_countries_come_from_the_platform_then_from_the_shipped_table():
    found = countries(["CERN", "here", "there", "RAL"], {"here": "fr", "there": "XX", "CERN": None})
    assert found == {"CERN": "CH", "here": "FR", "RAL": "GB"}
    sites = pl.DataFrame({"site": ["CERN", "here", "other"], "size": [1.0, 2.0, 9.0]})
    frame = by_country(sites, {"CERN": "CH", "here": "CH"})
    assert frame.select("country", "name", "sites", "size").rows() == [
        ("CH", "Switzerland", 2, 3.0)
    ]
