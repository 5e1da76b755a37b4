import pytest

from gridtwin.metrics import Row
from gridtwin.report import verdict


def row(metric="ks", goal="min", value=0.1, group="marginal", **more):
    filled = {"heldout": None, "train_copy": None, "weeks": None, "spread": None} | more
    return Row(metric, group, goal, "What it is.", value, **filled)


@pytest.mark.parametrize(
    ("goal", "value", "more", "mark"),
    [
        ("min", 0.05, {}, "good"),
        ("min", 0.1, {}, "fair"),
        ("min", 0.11, {}, "poor"),
        ("min", 0.11, {"heldout": 0.06}, "good"),
        ("min", 0.11, {"weeks": 0.06}, "good"),
        ("half", 0.55, {}, "good"),
        ("half", 0.6, {}, "fair"),
        ("half", 0.39, {}, "poor"),
        ("one", 1.25, {}, "good"),
        ("one", 1 / 1.6, {}, "fair"),
        ("one", 1.7, {}, "poor"),
        ("one", 1.7, {"detail": {"weeks_spread": [0.5, 1.8]}}, "good"),
        ("one", 0.0, {}, "poor"),
        ("heldout", 0.11, {"heldout": 0.1}, "good"),
        ("heldout", 0.13, {"heldout": 0.1}, "fair"),
        ("heldout", 0.02, {"heldout": 0.0}, "poor"),
        ("heldout", 0.02, {}, ""),
        ("weeks", 0.29, {"weeks": 0.1, "detail": {"weeks_spread": [0.1, 0.2]}}, "fair"),
        ("weeks", 0.27, {"weeks": 0.1, "detail": {"weeks_spread": [0.1, 0.2]}}, "good"),
        ("weeks", 0.99, {"weeks": 0.1}, "poor"),
        ("weeks", 0.99, {}, ""),
        ("min", None, {}, ""),
        ("one", 1.0, {"detail": {"note": "the real trace does not queue"}}, ""),
    ],
)
def test_mark(goal, value, more, mark):
    assert verdict.mark(row(goal=goal, value=value, **more)) == mark


def test_headlines_stand_beside_their_references_and_skip_what_was_not_judged():
    rows = [
        row("c2st", "half", 0.57, "detection", heldout=0.51),
        row("wait_easy", "one", 1.3, "scheduling", weeks=1.0, spread=(0.8, 2.0),
            detail={"weeks_spread": [0.55, 1.85]}),
        row("load", "one", None, "scheduling"),
    ]  # fmt: skip
    classifier, wait = verdict.headlines(rows)
    assert (classifier.value, classifier.mark) == ("0.570", "fair")
    assert classifier.references == ("held-out real rows: 0.510",)
    assert wait.mark == "good"
    assert wait.references == ("samples: 0.800 to 2", "resampled real weeks: 0.550 to 1.85")


def test_no_rows_no_headlines():
    assert verdict.headlines(()) == []


def test_a_headline_that_says_little_says_so_and_shares_are_in_per_cent():
    rows = [
        row("wait_easy", "one", 0.9, "scheduling", detail={"note": "it does not queue"}),
        row("exact_copies", "heldout", 9e-5, "privacy", heldout=0.014),
    ]
    wait, copies = verdict.headlines(rows)
    assert (wait.mark, wait.references) == ("", ("it does not queue",))
    assert (copies.value, copies.references) == ("< 0.1 %", ("held-out real rows: 1.4 %",))
