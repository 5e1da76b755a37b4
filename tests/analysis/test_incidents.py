import numpy as np
import polars as pl
import pytest
from scipy import stats

from gridtwin.analysis import incidents
from gridtwin.core.errors import SchemaError
from gridtwin.trace import tables

from .conftest import table

DAY = 86400.0


def cells(seed=0, sites=20, days=40, caught=()):
    """Return cells of made-up senders; in the (site, day) pairs `caught` most jobs fail at noon.

    Senders have their own rates, and one block of a hundred fails by its sender's own fault.
    """
    rng = np.random.default_rng(seed)
    rate = rng.beta(0.3, 8, 80)
    rows = []
    for site in range(sites):
        for window in range(days * 6):
            struck = (site, window // 6) in caught and window % 6 == 3
            for sender in rng.choice(80, 6 if struck else rng.poisson(1.5), replace=False):
                n = int(rng.geometric(0.15))
                p = 0.7 if struck or rng.random() < 0.01 else rate[sender]
                rows.append((f"s{site:02}", window, f"u{sender}", n, int(rng.binomial(n, p))))
    frame = pl.DataFrame(rows, ["site", "window", "sender", "n", "failed"], orient="row")
    task = pl.col("sender").alias("task")
    return frame.select("site", "window", "sender", task, "n", "failed").sort(
        "site", "window", "sender"
    )


def test_incidents_are_found_and_quiet_days_are_not():
    caught = {(3, 5), (7, 20), (11, 33), (0, 0)}
    found = incidents.detect(cells(caught=caught))
    known = [(f"s{site:02}", day * DAY, day * DAY + 1) for site, day in caught]
    figures = incidents.judge(found, known)
    assert figures["detected"] == 1
    assert figures["false_alarms"] < 0.003
    assert figures["incident_days"] == 4
    assert found.filter("incident")["hit"].min() >= 3


def test_without_incidents_hardly_a_day_is_flagged():
    # a run raises an alarm with probability 0.05 at most: three or more of twelve with 0.02
    runs = [incidents.detect(cells(seed, days=20))["incident"].any() for seed in range(12)]
    assert sum(runs) < 3


def test_one_sender_alone_makes_no_incident():
    quiet = cells()
    there = (pl.col("site") == "s04") & (pl.col("window") == 53)
    hit = there & (pl.col("sender") == quiet.filter(there)["sender"][0])
    frame = quiet.with_columns(
        n=pl.when(hit).then(5000).otherwise("n"),
        failed=pl.when(hit).then(5000).otherwise("failed"),
    )
    day = (pl.col("site") == "s04") & (pl.col("day") == pl.date(1970, 1, 9))
    found = incidents.detect(frame).filter(day)
    assert found["bad"].item() >= 5000
    assert not found["incident"].item()


def test_senders_whose_tasks_fail_everywhere_make_no_incident():
    # three senders fail all they send, at five sites at once: their own fault, not the sites'
    quiet = cells()
    rows = [(f"s{s:02}", 100 + s, f"x{u}", f"x{u}", 20, 20) for s in range(5) for u in range(3)]
    frame = pl.concat([quiet, pl.DataFrame(rows, quiet.schema, orient="row")])
    found = incidents.detect(frame.sort("site", "window", "sender"))
    assert not found.filter(pl.col("bad") >= 60)["incident"].any()


def test_the_same_seed_gives_the_same_days():
    first, again = (incidents.detect(cells(caught={(3, 5)}), seed=4) for _ in range(2))
    assert first.equals(again)
    assert first["n"].sum() == cells(caught={(3, 5)})["n"].sum()


def test_only_what_a_site_can_cause_is_bad():
    jobs = table(
        site=["X"] * 5,
        user=["a", "a", "b", "b", "b"],
        task_id=["1"] * 5,
        end_time=[1.0, 2.0, 3.0, DAY, None],
        status=["failed", "failed", "finished", "failed", "failed"],
        error_codes=[["pilot:1305", "exe:65"], ["pilot:1099"], [], ["jobdispatcher:100"], []],
    )
    found = incidents.counts(jobs, tables.error_codes())
    assert found.columns == ["site", "window", "sender", "task", "n", "heartbeat", "stagein"]
    assert found.drop("site", "task").rows() == [
        (0, "a", 2, 0, 1),
        (0, "b", 1, 0, 0),
        (6, "b", 1, 1, 0),
    ]
    assert incidents.counts(jobs)["failed"].to_list() == [2, 0, 1]


def test_senders_must_be_known():
    jobs = table(site=["X"], end_time=[1.0], status=["failed"])
    with pytest.raises(SchemaError, match="no user and no task_id"):
        incidents.counts(jobs)


def test_jobs_of_unknown_senders_count_as_of_one():
    jobs = table(
        site=["X"] * 9,
        user=[None] * 9,
        end_time=[float(i) for i in range(9)],
        status=["failed"] * 9,
    )
    found = incidents.incident_days(jobs)
    assert found.select("n", "bad", "senders").row(0) == (9, 9, 1)
    assert found["p_value"].item() is None
    assert not found["incident"].item()


def test_tables_without_failures_or_jobs_have_no_incidents():
    jobs = table(
        site=["X"] * 2, user=["a", "b"], end_time=[1.0, 2.0], status=["finished", "finished"]
    )
    found = incidents.incident_days(jobs)
    assert found.select("n", "bad", "incident").row(0) == (2, 0, False)
    none = incidents.incident_days(jobs.with_frame(jobs.frame.head(0), "none"))
    assert none.is_empty()
    assert none.schema == found.schema


def test_false_discoveries_by_benjamini_and_hochberg():
    # the example of their paper, table 1: four of fifteen at 0.05
    p = np.array([
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
        0.4262, 0.5719, 0.6528, 0.7590, 1.0,
    ])  # fmt: skip
    assert incidents.benjamini_hochberg(p, 0.05).tolist() == [True] * 4 + [False] * 11


@pytest.mark.slow
def test_incidents_of_the_example_stand_out():
    # slow: makes 1.2 million jobs. Expected: 5 % of the flags false at most; of 30 flags more than
    # four are false with probability 0.02. What one sender alone meets cannot be found: a seventh
    # of the site-days is found at other seeds
    from gridtwin.trace.examples import panda

    flagged = false = found = days = 0.0
    for seed in (0, 1, 2):
        options = {"days": 28, "seed": seed}
        result = incidents.incident_days(panda.load(**options), tables.error_codes())
        figures = incidents.judge(result, panda.incidents(**options))
        flagged += figures["flagged"]
        false += np.nan_to_num(figures["flagged"] * figures["false_discoveries"])
        found += figures["detected"] * figures["incident_days"]
        days += figures["incident_days"]
    assert flagged >= 10
    assert stats.binom.sf(false - 1, flagged, 0.05) > 0.01
    assert found / days > 0.08
