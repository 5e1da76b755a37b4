"""Sentences from scores made by hand."""

import pytest

from gridtwin.metrics import Row
from gridtwin.metrics.verdict import verdict


def row(name: str, value: float, heldout: float | None = None, goal: str = "min", **detail) -> Row:
    return Row(name, "", goal, "", value, heldout, None, None, None, {}, detail)


def said(*rows: Row) -> str:
    return " ".join(verdict(rows))


def test_a_wrong_load_is_said_in_figures():
    text = said(row("load", 0.35, goal="one", real=0.74, weeks_spread=[0.9, 1.1]))
    assert "does not queue like the original" in text
    assert "0.26 against 0.74" in text
    assert "The demand is right" in said(row("load", 1.02, goal="one", real=0.74))


def test_rows_that_could_not_occur_are_named():
    clean = said(row("support_hits", 1.0, 0.999, "one"), row("unseen_pairs", 0.006, 0.003))
    assert "keep the rules" in clean
    dirty = said(row("support_hits", 0.1, 0.999, "one"), row("over_limit", 0.17, 0.002))
    assert "no real job has (90.0%; real rows 0.1%)" in dirty
    assert "over their time limit (17.0%; real rows 0.2%)" in dirty
    assert "pairs" not in dirty


@pytest.mark.parametrize(("value", "words"), [(0.03, "as well as"), (0.9, "worse than")])
def test_predictors(value, words):
    text = said(row("diff_mlef", value, 0.01, "heldout", mse_real=0.55, trees="CatBoost"))
    assert f"learn from it {words} from real jobs" in text
    assert "CatBoost" in text
    assert ("good for training predictors" in text) == (value < 0.1)


def test_the_stronger_of_two_attacks_counts():
    def attacked(plain: float, calibrated: float) -> str:
        detail = {"interval": [plain - 0.02, plain + 0.02], "calibrated": calibrated}
        detail["calibrated_interval"] = [calibrated - 0.02, calibrated + 0.02]
        return said(row("membership", plain, 0.5, "half", **detail))

    assert "do not tell whether" in attacked(0.5, 0.51)
    assert "a little better than chance" in attacked(0.5, 0.57)
    assert "AUC 0.80, 95 % 0.78 to 0.82" in attacked(0.8, 0.7)
    assert "much better" in attacked(0.8, 0.7)


def test_the_uses_are_summed_up():
    text = said(
        row("c2st", 0.95, 0.5, "half", telling=["run_time"]),
        row("interarrival", 0.01, 0.01),
        row("load", 0.5, goal="one", real=0.8),
        row("wait_easy", 1.0, goal="one", weeks_spread=[0.8, 1.2]),
        row("dcr_share", 0.51, 0.5, "half"),
    )
    assert "mostly by run_time" in text
    assert "In short: good for studies of arrivals, handing out in place of the records" in text
    assert "not for statistics of single jobs, scheduling studies." in text


def curve(wait: float, slowdown: float = 1.0) -> str:
    spread = {"weeks_spread": [0.8, 1.2]}
    return said(
        row("load", 1.0, goal="one", real=0.8),
        row("wait_easy", 1.0, goal="one", size=1.0, **spread),
        row("wait_easy_80", wait, goal="one", size=0.8, **spread),
        row("slowdown_easy_120", slowdown, goal="one", size=1.2, **spread),
    )


def test_queues_at_other_machine_sizes():
    assert "On smaller and larger machines, too" in curve(1.1)
    assert "studies of other machine sizes" in curve(1.1).split("good for")[-1]
    text = curve(2.0)
    assert "1 of 2 queue figures" in text
    assert "the mean wait under EASY at 0.8 x 2.00 (real weeks 0.80 to 1.20)" in text
    assert "not for studies of other machine sizes" in text
    assert "good for scheduling studies" in text


def test_a_queue_that_there_is_not_is_told_once():
    none = [
        Row(n, "", "one", "", None, None, None, None, None, {}, {"reason": f"no wait at {n}"})
        for n in ("wait_easy", "wait_easy_80", "wait_easy_120", "wait_fcfs_80")
    ]
    text = said(row("wait_fcfs", 1.0, goal="one"), *none)
    assert "wait_easy (no wait at wait_easy)" in text
    assert "wait_easy_80" not in text
    assert "wait_fcfs_80" in text


@pytest.mark.parametrize(
    ("auc", "words"), [(0.51, "do not tell"), (0.57, "a little"), (0.8, "much better")]
)
def test_shadow_models(auc, words):
    text = said(
        row("shadow_membership", auc, 0.5, "half", interval=[auc - 0.02, auc + 0.02]),
        row("dcr_share", 0.5, 0.5, "half"),
    )
    assert f"Shadow models {'' if auc < 0.55 else 'tell '}{words}" in text
    assert ("good for handing out" in text) == (auc < 0.55)
