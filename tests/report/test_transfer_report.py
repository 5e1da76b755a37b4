"""The page of a transfer experiment."""

import itertools
import re

import pytest

from gridtwin.report import write_transfer_report
from gridtwin.report.transfer import sentences


def value(mean, low=None, high=None):
    return {"mean": mean, "low": low, "high": high}


def row(source, cost, over_fcfs, over_sjf=None):
    gain = {"gain": value(0.01, -0.1, 0.1)}
    return {
        "source": source,
        "score": value(-0.2, -0.3, -0.1),
        "cost": cost,
        "kept": {"fcfs": gain | {"share": over_fcfs}, "sjf": gain | {"share": over_sjf}},
        "load": 0.7,
        "queueing": 0.5,
        "to_best": value(-0.01, -0.05, 0.03),
    }


@pytest.fixture
def told():
    sources = [
        row("real", value(0.0, 0.0, 0.0), value(1.0, 1.0, 1.0)),
        row("real weeks", value(0.01, -0.02, 0.03), value(0.99, 0.9, 1.1)),
        row("trace", value(0.02, -0.03, 0.06), value(0.97, 0.91, 1.02)),
        row("<b>tvae</b>", value(0.44, 0.2, 0.7), value(0.6, 0.4, 0.8)),
        row("smote", value(-0.05, -0.08, -0.01), value(1.1, 1.02, 1.2)),
    ]
    heuristics = [{"policy": "f2", "score": value(-0.2, -0.3, -0.1)}]
    setting = {"baseline": "sjf", "best": "f2", "sources": sources, "heuristics": heuristics}
    plan = {"method": "cem", "steps": None, "seeds": 8, "share": 0.6}
    plan |= {"sequences": 128, "length": 512}
    trace = {"train_jobs": 8000, "test_jobs": 5000, "train_load": 0.6, "test_load": 0.8}
    return {
        "plan": plan,
        "source": "somewhere/theta.csv.gz",
        "sha256": "ab12",
        "cores": 4392,
        "versions": {"gridtwin": "0.1"},
        "trace": trace | {"stretches": 11},
        "settings": [setting | {"backfill": "none"}, setting | {"backfill": "easy"}],
        "failed": {},
        "warnings": ["little <i>queues</i>"],
    }


def test_the_verdict_says_what_a_generated_trace_costs(told):
    first, *more = sentences(told)
    assert "model trace" in first
    assert "+2.0 % without backfilling (95 %: \u22123.0 % to +6.0 %, which may be chance)" in first
    assert more[0].startswith(
        "Without backfilling, it keeps 97 % of the gain over FCFS (95 %: 91 %"
    )
    assert "changes the slowdown of SJF by \u22121.0 % (95 %: \u22129.5 % to +11 %)" in more[1]
    assert "too little, or too uncertain" in more[1]
    assert "Worse than real jobs beyond chance, without backfilling: <b>tvae</b> +44 %." in more
    assert "Better than real jobs beyond chance, with EASY backfilling: smote \u22125.0 %." in more
    assert more[-1] == "Note: little <i>queues</i>."


def test_without_models_nothing_is_said_of_them(told):
    for setting in told["settings"]:
        setting["sources"] = setting["sources"][:1]
    assert sentences(told)[0].startswith("No model was trained on")


def test_one_seed_has_no_interval(told):
    for setting in told["settings"]:
        setting["sources"][2]["cost"] = value(0.02)
    assert "+2.0 % without backfilling (no interval)" in sentences(told)[0]


def test_the_page_is_whole_and_loads_nothing(told, read_page, tmp_path):
    text = write_transfer_report(told, tmp_path / "report.html").read_text(encoding="utf-8")
    found = read_page(text)
    assert found.loads == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(found.tags)
    assert "<b>tvae</b>" in found.words()
    assert "little <i>queues</i>" in found.words()
    assert "says nothing" in found.words()
    assert len(found.ids) == len(set(found.ids))
    targets = [link[1:] for link in found.links] + re.findall(r"url\(#([^)]*)\)", text)
    assert set(targets) <= set(found.ids)
    levels = [int(tag[1]) for tag in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert found.tags.count("caption") == found.tags.count("table") == 4
    assert len(re.findall(r'<svg role="img" aria-label="[^"]+"', text)) == 1
    again = write_transfer_report(told, tmp_path / "again.html").read_text(encoding="utf-8")
    assert again == text
