import re
from dataclasses import replace

import polars as pl
import pytest

from gridtwin.metrics import evaluate
from gridtwin.report import write_report
from gridtwin.report.numbers import duration, percent
from gridtwin.sim import Platform, simulate
from gridtwin.trace import JobTable, Provenance
from gridtwin.trace.readers import read


@pytest.fixture(scope="module")
def report(read_page):
    def write(folder, real, synthetic, **more):
        path = write_report(folder, title="A trace", real=real, synthetic=synthetic, **more)
        text = path.read_text(encoding="utf-8")
        return read_page(text), text

    return write


@pytest.fixture(scope="module")
def other(jobs):
    """A synthetic stand-in: the made-up jobs with other run times."""
    frame = jobs.collect().with_columns(pl.col("run_time") * 2)
    return JobTable.from_frame(frame, Provenance("trace fitted on /data/a.csv", "synthetic"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def full(folder, jobs, other, evaluation, report):
    simulations = {"real": simulate(jobs, cores=256), "synthetic": simulate(other, cores=256)}
    return report(
        folder,
        jobs,
        [other, other],
        evaluation=evaluation,
        simulations=simulations,
        notes=["A note."],
        provenance={"Seed": "7"},
    )


def test_the_page_loads_nothing_and_runs_nothing(full):
    page, text = full
    assert page.loads == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert all(link.startswith("#") for link in page.links)
    assert "@import" not in text
    assert "http:" not in text
    assert "https:" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_links_and_clip_paths_point_at_one_place_each(full):
    page, text = full
    assert len(page.ids) == len(set(page.ids))
    targets = [link[1:] for link in page.links] + re.findall(r"url\(#([^)]*)\)", text)
    assert set(targets) <= set(page.ids)


def test_the_page_says_what_it_is_before_anything_else(full):
    page, text = full
    order = ["contains synthetic data", "<h1>", 'id="summary"', "Good for &lt;em&gt;", "0.570",
             "A note.", "What was read", 'id="attributes"', 'id="relations"', 'id="arrivals"',
             'id="queues"', 'id="metrics"', 'id="definitions"', 'id="provenance"']  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "model 'trace'" in page.words()
    assert "Seed 7" in page.words()


def test_every_metric_is_in_the_table_with_its_references(full):
    page, _ = full
    words = page.words()
    assert "Mean wait, EASY" in words
    assert "0.550 to 1.85" in words
    assert "needs a <holdout>" in words
    assert "Largest gap of two." in words
    assert "colour" in words


def test_the_page_is_small_and_the_charts_lie_beside_it(full, folder):
    _, text = full
    assert len(text) < 1_500_000
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {"cdf_run_time.svg", "association_real.svg", "queue_over_time.svg"} <= names
    assert {"cdf_wait.svg", "fidelity.svg", "arrivals_hour_of_week.svg"} <= names


def test_columns_curves_and_intervals_are_on_the_page(tmp_path, jobs, other, report):
    judged = evaluate(jobs, [other, other], jobs, 256, shadow=lambda half, _: half)
    page, _ = report(tmp_path, jobs, other, evaluation=judged)
    words = page.words()
    assert {"columns", "load_wait", "load_slowdown"} <= set(page.ids)
    assert "The classifier tells synthetic jobs from real ones most by: Run time" in words
    assert "Training jobs told by shadow models (AUC)" in words
    assert words.count("95 %: ") >= 2
    assert "Mean wait, EASY, machine x 0.8" in words


def test_the_same_input_gives_the_same_page(tmp_path, jobs, other, report):
    few = [jobs.with_frame(j.collect(["job_id", "run_time", "queue"])) for j in (jobs, other)]
    _, first = report(tmp_path / "a", *few)
    _, second = report(tmp_path / "b", *few)
    assert first == second


def test_what_users_name_things_is_text_never_markup(tmp_path, jobs, read_page):
    evil = '<script>alert("x")</script><img src=x onerror=y> &amp; {{ 7 * 7 }}'
    frame = jobs.collect().with_columns(
        queue=pl.when(pl.col("queue") == "long").then(pl.lit(evil)).otherwise("queue"),
        user=pl.lit(evil) + pl.col("user"),
    )
    origin = Provenance(f"/x/{evil}.csv", evil, 301, {evil: 1}, "", 256, (evil,))
    named = JobTable.from_frame(frame, origin)
    path = write_report(
        tmp_path,
        title=evil,
        real=named,
        synthetic=named,
        notes=[evil],
        provenance={evil: evil},
        simulations={evil: simulate(named, cores=256)},
    )
    text = path.read_text(encoding="utf-8")
    page = read_page(text)
    assert "script" not in page.tags
    assert page.loads == []
    assert evil in page.words()
    assert "{{ 7 * 7 }}" in page.words()


@pytest.mark.parametrize("n", [0, 1])
def test_tiny_synthetic_traces(tmp_path, jobs, n, report):
    few = jobs.with_frame(jobs.collect().head(n))
    simulations = {"real": simulate(jobs, cores=256), "synthetic": simulate(few, cores=256)}
    page, _ = report(tmp_path, jobs, few, simulations=simulations)
    assert "What the jobs ask for and do" in page.words()


@pytest.mark.parametrize("n", [0, 1])
def test_tiny_real_traces(tmp_path, jobs, n, report):
    few = jobs.with_frame(jobs.collect().head(n))
    simulations = {"real": simulate(few, cores=256), "synthetic": simulate(few, cores=256)}
    page, _ = report(tmp_path, few, few, simulations=simulations)
    assert f"Jobs {n} {n}" in page.words()


@pytest.mark.parametrize(
    "missing",
    [
        ["user", "group", "walltime_req", "status", "queue"],
        ["wait_time", "start_time", "end_time", "submit_time"],
        ["run_time", "end_time", "cores_req", "group", "queue"],
    ],
)
def test_missing_columns_only_leave_out_their_charts(tmp_path, jobs, missing, report):
    frame = jobs.collect().drop(missing)
    less = JobTable.from_frame(frame)
    page, _ = report(tmp_path, less, jobs, figures=())
    assert "Status: share of jobs" in page.words() or "status" in missing
    assert not (tmp_path / "figures").exists()


def test_a_table_of_ids_alone_still_makes_a_page(tmp_path, report):
    table = JobTable.from_frame(pl.DataFrame({"job_id": ["1", "2"]}))
    page, _ = report(tmp_path, table, table)
    assert "Jobs 2 2" in page.words()


def test_no_synthetic_trace_is_not_called_one(tmp_path, jobs, report):
    page, _ = report(tmp_path, jobs, ())
    assert "contains synthetic data" not in page.words()


def test_many_sites_stay_readable(tmp_path, jobs, report):
    site = [f"site-{i % 150:03d}" for i in range(len(jobs))]
    frame = jobs.collect(["job_id", "run_time"]).with_columns(site=pl.Series(site))
    many = JobTable.from_frame(frame)
    page, text = report(tmp_path, many, many)
    assert "Site: share of jobs" in page.words()
    assert page.words().count("site-") <= 13
    assert len(text) < 1_500_000


def test_simulated_sites_are_told_from_one_machine(tmp_path, jobs, report):
    names = pl.Series(["a", "b", "c"] * 100)
    sited = jobs.with_frame(jobs.collect().with_columns(site=names))
    platform = Platform.observed(sited)
    result = simulate(sited, platform=platform, broker="recorded")
    both = {"real": result, "synthetic": result}
    page, _ = report(tmp_path, sited, sited, simulations=both, figures=())
    assert f"{platform.cores.sum():,} cores at 3 simulated sites together" in page.words()
    assert "each job at its own site" in page.words()
    single = {"real": simulate(jobs, cores=256)}
    page, _ = report(tmp_path, jobs, jobs, simulations=single, figures=())
    assert "256 cores (stated by the source)" in page.words()
    assert "the same simulated machine" in page.words()


def test_nulls_and_infinities_are_counted_not_drawn(tmp_path, jobs, report):
    half = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("run_time"))
    frame = jobs.collect(["job_id", "run_time"]).with_columns(
        run_time=half, wait_time=pl.lit(float("inf"))
    )
    page, _ = report(tmp_path, JobTable.from_frame(frame), jobs)
    assert "Without a value: real 50 %, synthetic 0 %." in page.words()


def test_constant_columns_are_named_instead_of_drawn(tmp_path, jobs, report):
    few = jobs.collect(["job_id", "status"])
    same = jobs.with_frame(few.with_columns(cores_req=pl.lit(1, dtype=pl.Int64)))
    page, _ = report(tmp_path, same, same)
    assert "Cores requested: always 1" in page.words()


def test_dropped_rows_are_told_by_reason(tmp_path, jobs, report):
    origin = replace(jobs.provenance, rows_read=310, dropped={"no submit time": 10, "other": 0})
    few = JobTable(jobs.frame.select("job_id"), origin)
    page, _ = report(tmp_path, few, JobTable(few.frame))
    assert "310, kept 300, dropped 10" in page.words()
    assert "10 no submit time." in page.words()


def test_simulations_are_summed_up_in_units_that_people_read(tmp_path, jobs, report):
    few = jobs.with_frame(jobs.collect(["job_id", "submit_time", "run_time", "cores_req"]))
    result = simulate(few, cores=64, policy="fcfs")
    page, _ = report(tmp_path, few, few, simulations={"real": result}, figures=())
    summary = result.summary()
    assert f"Mean wait {duration(summary['mean_wait'])} " in page.words()
    assert f"Utilisation {percent(summary['utilisation'])} " in page.words()
    assert f"Mean: real {duration(summary['mean_wait'])}." in page.words()
    assert f"mean of each interval. Mean: real {percent(summary['utilisation'])}." in page.words()


@pytest.mark.slow
def test_a_report_of_a_real_trace_is_small(tmp_path, data_dir, report):
    theta = read(data_dir / "alcf" / "theta.csv.gz")
    simulations = {
        "real": simulate(theta, cores=281_088),
        "synthetic": simulate(theta, cores=281_088),
    }
    page, text = report(tmp_path, theta, theta, simulations=simulations)
    assert len(text) < 3_000_000
    assert "14,374, kept 14,374, dropped 0" in page.words()
    assert "281,088 cores (the most in use at once)" in page.words()
