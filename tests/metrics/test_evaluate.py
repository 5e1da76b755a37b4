import json
import math

import numpy as np
import polars as pl
import pytest

from gridtwin import metrics
from gridtwin.core.errors import InputError
from gridtwin.core.executor import Executor
from gridtwin.metrics import Evaluation, evaluate, neighbours
from gridtwin.metrics.base import DEFAULT_GROUPS, GROUPS
from gridtwin.metrics.verdict import verdict
from gridtwin.trace import JobTable

CORES = 64
QUICK = tuple(group for group in GROUPS if group != "utility")


def redrawn(jobs: JobTable, seed: int) -> JobTable:
    """Return as many rows, drawn again with times and run times jittered: a fair synthetic."""
    rng = np.random.default_rng(seed)
    n = len(jobs)
    frame = jobs.collect()[np.sort(rng.integers(n, size=n))]
    jitter = pl.Series(rng.uniform(0.9, 1.1, n))
    changed = frame.with_columns(
        pl.col("submit_time") + pl.Series(rng.uniform(-3600, 3600, n)),
        (pl.col("run_time") * jitter).round(),
        job_id=pl.Series([str(i) for i in range(n)]),
    )
    return JobTable.from_frame(changed, jobs.provenance)


def parted(jobs: JobTable, rows: slice) -> JobTable:
    return jobs.with_frame(jobs.collect()[rows])


@pytest.fixture(scope="module")
def evaluation(jobs) -> Evaluation:
    """Judge three fair samples by all quick metrics; even rows trained, odd rows held out."""
    train, holdout = parted(jobs, slice(0, None, 2)), parted(jobs, slice(1, None, 2))
    samples = [redrawn(train, s) for s in range(3)]
    return evaluate(train, samples, holdout, CORES, groups=QUICK)


@pytest.fixture(scope="module")
def alone(jobs) -> Evaluation:
    """Judge one sample without a holdout."""
    return evaluate(jobs, redrawn(jobs, 1), cores=CORES)


def test_every_metric_has_a_row_with_its_definition(evaluation):
    quick = [name for name in metrics.names() if metrics.get(name).group in QUICK]
    assert sorted(row.metric for row in evaluation.rows) == quick
    assert all(row.definition for row in evaluation.rows)


def test_what_does_not_apply_is_listed_with_a_reason(evaluation, alone):
    for row in (*evaluation.rows, *alone.rows):
        if row.synthetic is None:
            assert row.detail["reason"]
            assert row.heldout is row.train_copy is row.weeks is row.spread is None
    assert alone["dcr_share"].synthetic is None
    assert any("dcr_share" in s and "holdout" in s for s in alone.verdict)
    assert evaluation["site_work"].synthetic is None


def test_references_of_rows(evaluation):
    for name in ("ks", "wd", "wd_rank", "jsd", "diff_corr"):
        assert evaluation[name].train_copy == 0
        assert evaluation[name].heldout > 0
        assert evaluation[name].weeks is None
    assert evaluation["dcr"].train_copy == 0
    assert evaluation["dcr_share"].train_copy == 1
    assert evaluation["dcr_share"].heldout == pytest.approx(0.5, abs=0.15)
    assert evaluation["exact_copies"].train_copy == 1
    assert evaluation["exact_copies"].heldout == 0
    assert evaluation["c2st"].heldout == pytest.approx(0.5, abs=0.2)


def test_with_a_holdout_rows_are_told_from_those_that_the_model_has_not_seen(evaluation):
    assert evaluation["c2st"].detail["against"] == "holdout"
    assert "training rows, which" not in evaluation.verdict[0]


def test_references_of_traces(evaluation):
    for name in ("load", "fano_day", "wait_easy", "slowdown_fcfs"):
        row = evaluation[name]
        assert row.train_copy == 1
        low, high = row.detail["weeks_spread"]
        assert low <= row.weeks <= high
        assert row.spread[0] <= row.synthetic <= row.spread[1]
        assert len(row.detail["values"]) == 3
    assert evaluation["wait_easy"].heldout is None
    assert evaluation["interarrival"].heldout > 0


def test_one_sample_has_no_spread(alone):
    assert all(row.spread is None for row in alone.rows)
    assert alone["wait_easy"].weeks is not None


def test_without_a_holdout_halves_stand_in_and_this_is_said(alone, jobs):
    assert "two random halves" in alone.notes[0]
    assert alone["ks"].heldout > 0
    assert alone["c2st"].train_copy is None
    assert "against the training rows, which copies pass" in alone.verdict[0]
    assert alone.sizes["holdout"] == 0
    assert alone.sizes["train"] == len(jobs)


@pytest.mark.slow
def test_efficiency_has_its_reference_rows(jobs):
    train, holdout = parted(jobs, slice(0, 60)), parted(jobs, slice(60, 120))
    row = evaluate(train, redrawn(train, 1), holdout, CORES, groups=("utility",))["diff_mlef"]
    assert None not in (row.synthetic, row.heldout, row.train_copy)
    assert row.detail["trees"]


def test_what_takes_minutes_is_left_out_unless_asked_for(alone):
    assert {row.group for row in alone.rows} == set(DEFAULT_GROUPS)


def test_scores_by_column_stand_beside_those_of_held_out_rows(evaluation, tmp_path):
    table = evaluation.columns()
    ks = table.filter(metric="ks", column="run_time")
    assert ks["synthetic"].item() == evaluation["ks"].by_column["run_time"]
    assert 0 < ks["heldout"].item() < 0.3
    evaluation.save(tmp_path)
    assert pl.read_csv(tmp_path / "columns.csv").equals(table)


def test_json_and_csv(evaluation, tmp_path):
    evaluation.save(tmp_path / "out")
    text = (tmp_path / "out" / "evaluation.json").read_text()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert document["rows"][0]["metric"] == evaluation.rows[0].metric
    assert document["verdict"] == list(evaluation.verdict)
    table = pl.read_csv(tmp_path / "out" / "evaluation.csv")
    assert table["metric"].to_list() == [row.metric for row in evaluation.rows]
    assert evaluation.frame().schema["weeks"] == pl.Float64


def test_numbers_that_json_lacks_become_null():
    row = metrics.Row("m", "g", "min", "d", None, None, None, None, None)
    bad = {"a": math.nan, "b": [np.float64("inf"), np.int64(3)]}
    row = Evaluation((row,), (), (), {}, bad).to_json()
    assert row["left_out"] == {"a": None, "b": [None, 3]}


def test_the_same_seed_gives_the_same_evaluation(jobs):
    few = parted(jobs, slice(0, 120))
    first, again = (evaluate(few, redrawn(few, 1), cores=CORES, seed=4) for _ in range(2))
    assert first.to_json() == again.to_json()


def test_a_holdout_of_another_period_drops_submit_time_from_detection(jobs):
    train, later = parted(jobs, slice(0, 150)), parted(jobs, slice(150, 300))
    evaluation = evaluate(train, redrawn(train, 1), later, CORES)
    assert "another period" in evaluation.notes[0]
    assert "submit_time" not in evaluation["c2st"].by_column
    assert "submit_time" in evaluation["ks"].by_column
    assert evaluation["interarrival"].heldout is None


def test_many_sites_are_judged_site_by_site(sited):
    evaluation = evaluate(sited, redrawn(sited, 1), cores=CORES)
    assert evaluation["wait_easy"].synthetic is None
    assert "3 sites" in evaluation["wait_easy"].detail["reason"]
    assert evaluation["site_work"].synthetic < 0.3
    assert evaluation["site_arrivals"].synthetic < 0.5


def test_a_trace_that_does_not_queue_is_called_so(jobs):
    evaluation = evaluate(jobs, redrawn(jobs, 1), cores=100_000)
    row = evaluation["wait_easy"]
    assert row.synthetic is None or "does not queue" in row.detail["note"]
    assert any("no real job waits" in s or "does not queue" in s for s in evaluation.verdict)


def test_jobs_wider_than_the_machine_are_counted(jobs):
    row = evaluate(jobs, redrawn(jobs, 1), cores=32)["wait_fcfs"]
    wide = int((jobs.collect()["cores_req"] > 32).sum())
    assert row.detail["dropped_real"] == {"larger than the machine": wide}


def test_columns_that_the_synthetic_table_lacks_are_listed(jobs):
    synthetic = redrawn(jobs, 1)
    synthetic = synthetic.with_frame(synthetic.frame.drop("status", "wait_time"))
    evaluation = evaluate(jobs, synthetic, cores=CORES)
    assert evaluation.left_out["status"] == "the other table lacks it"
    assert "wait_time" in evaluation.left_out


def test_bad_input_is_refused(jobs):
    empty = jobs.with_frame(jobs.collect().head(0))
    with pytest.raises(InputError, match="synthetic table has no rows"):
        evaluate(jobs, empty)
    with pytest.raises(InputError, match="train table has no rows"):
        evaluate(empty, jobs)
    with pytest.raises(InputError, match="at least one synthetic"):
        evaluate(jobs, [])
    with pytest.raises(InputError, match="1 or more"):
        evaluate(jobs, jobs, cores=0)


def test_a_table_of_rows_without_times_or_sizes_is_judged_by_rows(jobs):
    bare = jobs.with_frame(jobs.frame.select("job_id", "user", "queue", "run_time"))
    evaluation = evaluate(bare, bare)
    assert evaluation["ks"].synthetic == 0
    assert evaluation["wait_easy"].synthetic is None
    assert evaluation["interarrival"].synthetic is None
    assert evaluation.sizes["cores"] == 0


def test_a_handful_of_rows_does_not_crash(jobs):
    few = parted(jobs, slice(0, 3))
    evaluation = evaluate(few, few, few)
    assert evaluation["c2st"].synthetic is None
    json.dumps(evaluation.to_json(), allow_nan=False)
    one = parted(jobs, slice(0, 1))
    json.dumps(evaluate(one, one).to_json(), allow_nan=False)


def test_the_verdict_tells_good_from_bad(jobs, evaluation):
    assert any("DCR-share" in s for s in evaluation.verdict)
    frame, n = jobs.collect().with_columns(pl.col("run_time") * 4), len(jobs)
    busy = jobs.with_frame(frame)
    rng = np.random.default_rng(0)
    bad = jobs.with_frame(
        frame.with_columns(
            submit_time=pl.Series(np.linspace(1.7e9, 1.7e9 + 14 * 86400, n)),
            run_time=pl.col("run_time") * 0.1,
            user=pl.Series(rng.permutation(frame["user"].to_numpy())),
        )
    )
    said = " ".join(evaluate(busy, bad, cores=CORES).verdict)
    assert "easily told" in said
    assert "do not use it for scheduling" in said
    assert "The demand is off" in said
    copied = " ".join(
        evaluate(
            parted(jobs, slice(0, None, 2)),
            parted(jobs, slice(0, None, 2)),
            parted(jobs, slice(1, None, 2)),
            CORES,
        ).verdict
    )
    assert "do not publish" in copied
    assert "copies of training rows" in copied


def test_any_seed_will_do(jobs):
    few = parted(jobs, slice(0, 60))
    large = evaluate(few, few, cores=CORES, seed=2**40 + 7, groups=("detection",))
    assert large["c2st"].synthetic is not None


def test_a_holdout_without_common_columns_is_no_reference(jobs):
    bare = jobs.with_frame(jobs.frame.select("job_id"))
    evaluation = evaluate(jobs, redrawn(jobs, 1), bare, CORES, groups=("detection", "privacy"))
    assert evaluation["dcr_share"].detail["reason"] == "no columns to compare"
    assert evaluation["dcr"].synthetic is not None


def test_correlations_of_a_handful_of_rows_are_not_judged(jobs):
    few = parted(jobs, slice(0, 9))
    evaluation = evaluate(jobs, few, cores=CORES, groups=("joint",))
    assert evaluation["diff_corr"].synthetic is None
    assert "associations need 10 or more" in evaluation["diff_corr"].detail["reason"]
    assert not any("Correlations between columns" in s for s in evaluation.verdict)


@pytest.mark.parametrize(
    ("value", "said"), [(0.01, "hold"), (0.04, "nearly hold, off by"), (0.2, "are off by")]
)
def test_words_on_correlations(value, said):
    row = metrics.Row("diff_corr", "joint", "min", "d", value, 0.005, 0.0, None, None)
    assert f"Correlations between columns {said}" in verdict([row])[0]


def test_a_trace_on_the_real_calendar_is_called_so(jobs, evaluation):
    row = evaluation["replay"]
    assert row.synthetic > 0.8  # the samples are real rows moved by less than an hour
    assert row.heldout is None
    assert row.weeks < 0.5
    assert row.train_copy == 1
    said = next(s for s in evaluation.verdict if "real calendar" in s)
    assert "The trace follows the real calendar" in said
    later = jobs.with_frame(jobs.frame.with_columns(pl.col("submit_time") + 5 * 3600))
    fresh = evaluate(jobs, later, cores=CORES, groups=("temporal",))
    assert fresh["replay"].synthetic < 0.5
    assert not any("real calendar" in s for s in fresh.verdict)


def test_replay_by_hand():
    def table(user, hours):
        times = [3600.0 * h for h in hours]
        ids = [str(k) for k in range(len(user))]
        return JobTable.from_frame(
            pl.DataFrame({"job_id": ids, "user": user, "submit_time": times})
        )

    real = table(["a", "a", "b", None], [0, 10, 20, 30])
    #                      near a's first, too far, b was not there, b's own, user unknown
    synthetic = table(["a", "a", "b", "b", None], [0.9, 8.9, 10, 19, 30])
    score = metrics.get("replay")(real, synthetic)
    assert score.value == pytest.approx(2 / 4)
    assert -1 <= score.detail["hourly_correlation"] <= 1


def test_the_search_takes_all_rows_in_other_processes_alike(jobs, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 40)
    train, holdout = parted(jobs, slice(0, None, 2)), parted(jobs, slice(1, None, 2))
    drawn = redrawn(train, 1)
    judged = [
        evaluate(train, drawn, holdout, groups=("privacy",), **options)
        for options in (
            {},
            {"search": None, "executor": Executor("processes", 1)},
            {"search": 30},
        )
    ]
    assert judged[0].rows == judged[1].rows
    assert judged[0]["dcr"].detail["rows_searched"] == 150
    assert judged[2]["dcr"].detail["rows_searched"] == 30
    with pytest.raises(InputError, match="search for 0 rows"):
        evaluate(train, drawn, holdout, search=0)


def test_odd_traces_have_scores_or_reasons():
    """One user, one size, one request, 30 rows, the same run time: nothing crashes."""
    n = 30
    frame = pl.DataFrame(
        {
            "job_id": [str(i) for i in range(n)],
            "user": ["a"] * n,
            "submit_time": 1.7e9 + 3600.0 * np.arange(n),
            "cores_req": [4] * n,
            "walltime_req": [600.0] * n,
            "run_time": [300.0] * n,
        }
    )
    for table in (frame, frame.drop("cores_req"), frame.drop("submit_time")):
        jobs = JobTable.from_frame(table)
        judged = evaluate(jobs, [jobs, jobs], jobs, groups=QUICK, shadow=lambda half, _: half)
        for row in judged.rows:
            assert row.synthetic is not None or row.detail["reason"], row.metric
