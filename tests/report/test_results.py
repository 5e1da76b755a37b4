"""The pages of compare-policies, benchmark and calibrate."""

import math
from dataclasses import replace

import polars as pl
import pytest

from gridtwin.metrics import Evaluation
from gridtwin.policy.batch.stream import from_table
from gridtwin.policy.compare import compare
from gridtwin.report import study_charts
from gridtwin.report.benchmark import write_benchmark_report
from gridtwin.report.calibration import write_calibration_report
from gridtwin.report.policies import write_policies_report
from gridtwin.sim import Platform, Site
from gridtwin.sim.calibrate import Calibration, Setting, SiteFit
from gridtwin.sim.calibration.judge import Score
from gridtwin.sim.calibration.search import Known
from gridtwin.study.benchmark import Benchmark

EVIL = '<script>alert("x")</script>'


def row(rows, policy):
    return next(one for one in rows if one.policy == policy)


@pytest.fixture(scope="module")
def compared(jobs):
    """Two policies on a machine so small that they queue."""
    return compare(from_table(jobs, cores=64), ["fcfs", "sjf"], length=100)


@pytest.fixture
def page(read_page, tmp_path):
    """Return what writes a page and reads it: nothing is loaded, ids are unique, links hold."""

    def write(writer, found, **more):
        path = writer(found, tmp_path / "report.html", **more)
        text = path.read_text(encoding="utf-8")
        assert writer(found, tmp_path / "again.html", **more).read_text(encoding="utf-8") == text
        read = read_page(text)
        assert read.loads == []
        assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(read.tags)
        assert "http:" not in text
        assert "https:" not in text
        assert len(read.ids) == len(set(read.ids))
        assert {link[1:] for link in read.links} <= set(read.ids)
        assert text.index('id="summary"') < text.index('id="provenance"')
        return read

    return write


@pytest.fixture
def judged(evaluation):
    """A benchmark of two models, one of a hostile name, on one trace, and of one that failed."""
    worse = Evaluation(
        tuple(
            replace(one, synthetic=one.synthetic and 3 * one.synthetic, spread=None)
            for one in evaluation.rows
        ),
        *((), (), {}, {}),
    )
    costs = {"fit_cpu_s": 2.0, "sample_cpu_s": 0.5, "peak_mib": 300.0, "error": None}
    none = dict.fromkeys(costs)
    rows = [
        {"trace": "theta", "model": "held-out real", "ks": 0.01, **none},
        {"trace": "theta", "model": "near", "ks": 0.08, **costs},
        {"trace": "theta", "model": EVIL, "ks": 0.24, **costs, "fit_cpu_s": 1.0},
        {"trace": "theta", "model": "broken", "ks": None, **none, "error": f"needs {EVIL}"},
    ]
    return Benchmark(
        pl.DataFrame(rows, infer_schema_length=None),
        {("theta", "near"): evaluation, ("theta", EVIL): worse},
    )


def score(site, quantity, within, *, shift):
    """A score whose calibration is better than the default by `shift`, worse than the rest."""
    return Score(
        *(site, quantity, within, 40, 4, 10.0, (8.0, 12.0), 10.0 + shift, 9.0, 5.0),
        (-shift - 1.0, -shift + 1.0),
        *((0.5, 1.5), (4.0, 6.0)),
    )


def calibration(*sites):
    setting = Setting(cores=0.5)
    known = (
        Known("cores", 0.5, ((0.5, 1.0), (1.0, 2.0)), (0.5,)),
        Known("policy", "easy", (("easy", 1.0), ("fcfs", 1.0)), ("easy", "fcfs")),
    )
    fits = tuple(SiteFit(name, 100 - k, setting, 1.0, 2.0, {}, known) for k, name in
                 enumerate(sites))  # fmt: skip
    scores = tuple(
        score(name, quantity, within, shift=3.0 if quantity == "wait" else 0.0)
        for name in sites
        for quantity in ("wait", "log_wait")
        for within in ("span", "block")
    )
    platform = Platform(tuple(Site.of(name, 64) for name in sites))
    return Calibration(platform, platform, fits, scores, 1.7e9, 10, 0, left_out={"no run time": 3})


def test_policies_are_told_in_words_with_intervals(compared, page):
    read = page(write_policies_report, compared, source="a/<b>jobs</b>.swf")
    words, best = read.words(), compared.rows[0]
    assert best.policy == "sjf"
    assert "sjf is best, with 0." in words
    assert "times the bounded slowdown of fcfs (95 %: 0." in words
    assert "out of 300 jobs overlap much" in words  # a warning of the comparison
    assert "log_ratios" in read.ids
    assert "Queueing policies on b>.swf" in words


def test_a_trace_that_does_not_queue_says_so_first(jobs, page):
    found = compare(from_table(jobs, cores=100_000), ["fcfs", "sjf"], length=100)
    words = page(write_policies_report, found).words()
    assert words.index("The trace hardly queues") < words.index("None is better than fcfs")
    assert "That may be chance" in words


def test_ratios_of_utilization_are_turned_round(jobs, page):
    stream = from_table(jobs, cores=64)
    found = compare(stream, ["fcfs", "easy"], length=100, objective="utilization")
    words = page(write_policies_report, found).words()
    easy = row(found.rows, "easy")
    assert easy.log_ratio < 0  # more of the machine is used
    assert "easy is best, with 1." in words
    assert "Mean utilization" in words


def test_one_policy_has_a_page_without_a_chart(jobs, page):
    read = page(write_policies_report, compare(from_table(jobs, cores=64), ["fcfs"], length=50))
    assert "Only fcfs was run: its mean bounded slowdown is" in read.words()
    assert "log_ratios" not in read.ids


def test_a_benchmark_marks_the_best_and_names_who_failed(judged, page):
    read = page(write_benchmark_report, judged, made={"Seed": "0"})
    words = read.words()
    assert words.index("theta: near is good on") < words.index(f"broken gave nothing on theta: "
                                                               f"needs {EVIL}")  # fmt: skip
    assert "mean wait under EASY over that of the real trace: 1.20 with near, 3.60 with" in words
    assert "queues_0" in read.ids
    row_of = words[words.index("Numbers: largest gap between distributions") :]
    assert "0.0800 ◐ fair, best" in row_of
    assert "0.240 ○ poor" in row_of
    assert "1 s best" in words  # the quicker fit
    assert "Share nearer to training" not in words.split("What each figure means")[0]


def test_one_model_has_nothing_marked_best(judged, page):
    table = judged.table.filter(pl.col("model").is_in(["near", "held-out real"]))
    found = Benchmark(table, {key: judged.evaluations[key] for key in [("theta", "near")]})
    words = page(write_benchmark_report, found).words()
    assert ", best" not in words
    assert "1 model on 1 trace" in words


def test_a_ratio_without_bound_is_told_and_not_drawn(judged, page):
    near = judged.evaluations["theta", "near"]
    rows = [
        replace(one, synthetic=math.inf) if one.metric == "wait_easy" else one for one in near.rows
    ]
    table = judged.table.filter(pl.col("model") == "near")
    found = Benchmark(table, {("theta", "near"): replace(near, rows=tuple(rows))})
    read = page(write_benchmark_report, found)
    assert "∞ with near" in read.words()
    assert "queues_0" not in read.ids


def test_no_model_that_gave_a_trace_is_told(judged, page):
    table = judged.table.filter(pl.col("model") == "broken")
    read = page(write_benchmark_report, Benchmark(table, {}))
    assert "No model gave a trace of theta." in read.words()
    assert "queues_0" not in read.ids


def test_several_traces_are_summed_up_first(judged, page):
    other = judged.table.with_columns(trace=pl.lit("mira"))
    more = {("mira", model): one for (_, model), one in judged.evaluations.items()}
    found = Benchmark(pl.concat([judged.table, other]), judged.evaluations | more)
    read = page(write_benchmark_report, found)
    words = read.words()
    assert words.index("Over 2 traces: near is good on") < words.index("theta: near is")
    assert {"trace-0", "trace-1", "queues_0", "queues_1"} <= set(read.ids)


def test_a_calibration_is_told_beside_the_default_and_the_earlier_jobs(page):
    read = page(write_calibration_report, calibration(EVIL), source="jobs.parquet")
    words = read.words()
    assert (
        "Queue time: the distance to the later records is 10 s with the calibrated setting; 13 s "
        "with the default setting (the calibration is nearer) and 5 s with the distribution of the "
        "earlier jobs (the calibration is farther)."
    ) in words
    assert "1 of 2 fitted values are not told by the records" in words
    assert EVIL in words
    assert "0.500 0.500 to 0.500" in words
    assert "easy not told" in words
    assert "3 jobs: no run time" in words
    assert "calibrated" in read.ids


def test_of_many_sites_the_largest_are_shown_and_all_are_counted(page):
    found = calibration("A", "B", "C")
    words = page(write_calibration_report, found, most=2).words()
    assert (
        "Queue time, 3 sites: beyond chance, the calibration is nearer to the later records than "
        "the default setting at 3 and farther at 0; than the distribution of the earlier jobs at 0 "
        "and farther at 3."
    ) in words
    assert "Settings by site; 1 more are in calibration.json" in words


def test_a_site_with_nothing_to_judge_has_a_page(page):
    found = calibration("A")
    fit = replace(found.sites[0], loss=None, default=None, known=(), note="no job to fit on")
    read = page(write_calibration_report, replace(found, sites=(fit,), scores=()))
    assert "No later job has what it takes to judge the calibration." in read.words()
    assert "A: no job to fit on." in read.words()
    assert "calibrated" not in read.ids


def test_panels_have_the_same_rows_whoever_is_missing_in_one():
    rows = [("load", "a", 1.0), ("load", "b", 1.1), ("wait", "b", 9.0)]
    frame = pl.DataFrame(rows, schema=["metric", "scenario", "change"], orient="row")
    frame = frame.with_columns(low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64))
    frame = frame.with_columns(judged=pl.lit("model"))
    panels = [("load", "Load"), ("wait", "Wait")]
    for draw in (study_charts.differences, study_charts.ratio_panels):
        drawn = draw(frame, panels).to_dict()["hconcat"]
        dots = [panel["layer"][-1]["encoding"] for panel in drawn]
        assert [one["y"]["scale"]["domain"] for one in dots] == [["a", "b"]] * 2
    assert dots[1]["x"]["scale"]["domain"][1] > 9.0  # a ratio is within its axis
    assert dots[0]["x"]["scale"]["type"] == "log"
