"""The whole dynamic model on records of several sites."""

import polars as pl
import pytest

from gridtwin.core.errors import InputError
from gridtwin.report.demo import write_demo_report
from gridtwin.sim import Platform
from gridtwin.study import spec
from gridtwin.study.demo import run_demo


@pytest.fixture(scope="module")
def several(jobs):
    """The made-up trace at three sites, one with a name that is hard to write."""
    names = ['A "quoted" <site>', "B", "C"]
    site = pl.Series("site", [names[k % 3 if k % 5 else 0] for k in range(len(jobs))])
    return jobs.with_frame(jobs.collect().with_columns(site))


@pytest.fixture(scope="module")
def demo(several, tmp_path_factory):
    return run_demo(several, tmp_path_factory.mktemp("demo"), samples=2)


def test_three_brokers_meet_three_circumstances_under_three_seeds(demo):
    assert demo.study.complete
    assert demo.study.total == 27
    assert set(demo.study.spec.axes["broker"]) == {"recorded", "least_loaded", "fewest_jobs"}
    assert len(demo.study.spec.axes["whatif"]) == 3
    jobs = demo.study.results.filter(pl.col("metric") == "jobs")
    count = dict(jobs.group_by("scenario").agg(pl.col("value").mean()).iter_rows())
    more = next(s for s in demo.study.scenarios if s.values["whatif"] == "load x 1.5")
    assert count[more.id] > 1.4 * count[demo.study.spec.base]


def test_its_files_can_be_run_again(demo):
    platform = Platform.observed(demo.loop.real)
    assert (demo.folder / "platform.toml").read_text() == platform.to_toml()
    again = spec.load(demo.folder / "study.toml")
    assert again.same_as(demo.study.spec) is None


def test_its_page_sums_up_the_others(demo):
    path = write_demo_report(demo, title="<records>", synthetic=False, provenance={})
    page = path.read_text()
    assert "&lt;records&gt;" in page
    assert "<site>" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count("<h1>") == 1


def test_a_study_that_ends_badly_is_told(several, tmp_path):
    (tmp_path / "study").write_text("a file where the folder has to be")
    with pytest.raises(InputError, match="the study of the demo ended with 2"):
        run_demo(several, tmp_path, samples=1)
