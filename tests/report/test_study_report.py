import itertools
import re

import polars as pl
import pytest

from gridtwin.report import write_study_report
from gridtwin.report.study_words import View, cards, sentences
from gridtwin.study.folder import Folder, run_file

ONE = 'name = "one"\nseeds = 1\n[workload]\nexample = "panda"\n[platform]\nobserved = true\n'


@pytest.fixture(scope="module")
def page(read_page):
    def write(folder, path):
        text = write_study_report(folder, path / "report.html").read_text(encoding="utf-8")
        return read_page(text), text

    return write


@pytest.fixture(scope="module")
def folder(tmp_path_factory, made_study):
    return made_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def written(folder, page):
    return page(folder, folder.path)


def test_the_page_loads_nothing_and_names_are_text(written):
    found, text = written
    assert found.loads == []
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(found.tags)
    assert "http:" not in text
    assert "https:" not in text
    assert "Brokers & <script>alert(1)</script>" in found.words()
    assert "a <b>note</b>" in found.words()


def test_ids_are_unique_and_links_stay_inside(written):
    found, text = written
    assert len(found.ids) == len(set(found.ids))
    targets = [link[1:] for link in found.links] + re.findall(r"url\(#([^)]*)\)", text)
    assert set(targets) <= set(found.ids)
    named = re.findall(r'aria-labelledby="([^"]*)"', text)
    assert set(named) <= set(found.ids)


def test_it_can_be_read_without_seeing_it(written):
    found, text = written
    levels = [int(tag[1]) for tag in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert found.tags.count("main") == found.tags.count("header") == 1
    assert found.tags.count("caption") == found.tags.count("table")
    assert len(re.findall(r'<svg role="img" aria-label="[^"]+"', text)) == found.tags.count("svg")
    assert text.index('class="skip" href="#main"') < text.index("<h1>")


def test_the_verdict_comes_first_and_the_parts_in_order(written):
    order = ["<h1>", 'id="summary"', "lowest mean wait of 3 choices", 'class="cards"',
             'id="scenarios"', 'id="timelines"', 'id="sensitivity"', 'id="sites"', 'id="map"',
             'id="metrics"', 'id="notes"', 'id="provenance"']  # fmt: skip
    places = [written[1].index(part) for part in order]
    assert places == sorted(places)


def test_the_verdict_says_which_is_best_by_how_much_and_what_moves_it(folder):
    view = View(folder)
    told = sentences(view)
    row = folder.comparison.row(
        by_predicate=(pl.col("scenario") == "s004") & (pl.col("metric") == "mean_wait"), named=True
    )
    assert folder.spec.by_id["s004"].values["broker"] == "mct"
    assert told[0].startswith("mct has the lowest mean wait of 3 choices: ")
    assert f"{-row['change'] / 60:.1f} min" in told[0]
    assert f"{-row['low'] / 60:.1f} min" in told[0]
    assert told[0].endswith("better on 100 % of the seeds.")
    assert any("least_loaded has the lowest moved bytes" in t and "it is the base" in t
               for t in told)  # fmt: skip
    assert any(t.startswith("Load x 1.5: mean wait +") for t in told)
    assert any(t.startswith("The mean wait is moved most by broker") for t in told)
    assert any("which may be chance" in t or "0 %" in t for t in told if "wasted share" in t)


def test_cards_are_of_the_base_with_an_interval(folder):
    card = next(c for c in cards(View(folder)) if c.title == "Mean wait")
    assert card.value == "60.4 min" or card.value.endswith(" min")
    assert any(text.startswith("95 %: ") for text in card.references)
    assert any(text.startswith("best: mct") for text in card.references)


def test_a_worse_change_is_marked_and_one_by_chance_is_not(folder):
    view = View(folder)
    assert view.judged("s004", "mean_wait") == "better"
    assert view.judged("s001", "mean_wait") == "worse"
    assert view.judged("s004", "moved_bytes") == "worse"
    assert view.judged("s004", "jobs") == ""


def test_figures_without_a_value_and_equal_ones_are_told(written):
    words = written[0].words()
    assert "The same in all scenarios: median wait 0.5 s" in words
    assert "CERN" in words
    assert "4 of" not in words


def test_an_unfinished_study_says_so(tmp_path, page, made_study):
    found, _ = page(made_study(tmp_path, runs=11), tmp_path)
    words = found.words()
    assert "Unfinished: 11 of 30 runs are done" in words
    assert "unfinished" in words.split("Verdict")[0]
    assert "Runs done 11 of 30" in words


def test_a_study_without_runs_has_a_page(tmp_path, page, made_study):
    found, _ = page(made_study(tmp_path, runs=0), tmp_path)
    assert "Unfinished: 0 of 30 runs are done" in found.words()
    assert "svg" not in found.tags


def test_one_scenario_and_one_seed(tmp_path, page, made_study):
    found, text = page(made_study(tmp_path, ONE), tmp_path)
    words = found.words()
    assert "there is one scenario" in words
    assert "One seed: nothing here says what is chance" in words
    assert "95 %:" not in words
    assert 'id="queue_over_time"' in text


def test_missing_intervals_are_left_out(tmp_path, page, made_study, study_text):
    folder = made_study(tmp_path, study_text.replace("seeds = 5", "seeds = 1"))
    assert folder.comparison["low"].null_count() == folder.comparison.height
    found, _ = page(folder, tmp_path)
    assert "mct has the lowest mean wait of 3 choices" in found.words()
    assert "95 %:" not in found.words()


def test_feedback_has_its_section(tmp_path, page, made_study, study_text):
    found, text = page(made_study(tmp_path, study_text + "[feedback]\nevery_days = 7\n"), tmp_path)
    assert {"feedback", "drift"} <= set(found.ids)
    assert "Window 3" in text


def test_sites_have_hostile_names(tmp_path, page, made_study):
    evil = '<script>alert("x")</script>'
    found, _ = page(made_study(tmp_path, sites=("CERN", "BNL", evil)), tmp_path)
    assert "script" not in found.tags
    assert evil in found.words()
    assert "1 of no known country" in found.words().replace("and ", "")


def test_without_sites_there_is_no_map(tmp_path, page, made_study):
    found, _ = page(made_study(tmp_path, sites=()), tmp_path)
    assert "sites" not in found.ids


def test_the_same_results_give_the_same_bytes(tmp_path, folder):
    again = write_study_report(Folder.open(folder.path), tmp_path / "r.html").read_bytes()
    assert again == (folder.path / "report.html").read_bytes()


def test_a_large_study_stays_small(tmp_path, page, made_study, study_text):
    brokers = '"least_loaded", "random", "mct", "olb", "data_local", "round_robin"'
    many = study_text.replace('"least_loaded", "random", "mct"', brokers).replace(
        "seeds = 5", "seeds = 3"
    )
    many += "".join(f'[[whatif]]\nname = "load x {k}"\nload = {k}\n' for k in (2, 3, 4, 5))
    many += "[faults]\nchance = [0.0, 0.1]\n"
    folder = made_study(tmp_path, many, sites=[f"site-{k}" for k in range(90)], days=150.0)
    assert len(folder.scenarios) == 72
    _, text = page(folder, tmp_path)
    assert len(text.encode()) < 3_000_000
    assert "more are in comparison.parquet" in text


def test_seeds_that_change_nothing_are_told(tmp_path, made_study, folder):
    assert not any("All seeds" in text for text in sentences(View(folder)))
    made = made_study(tmp_path)
    base = made.spec.base
    for still, where in (([base], " in 1 of 6 scenarios"), (made.spec.by_id, "")):
        for scenario in still:
            first = run_file(tmp_path, scenario, 0, ".json").read_text()
            for seed in made.spec.seeds:
                run_file(tmp_path, scenario, seed, ".json").write_text(first)
        told = sentences(View(Folder.open(tmp_path)))
        assert any(text.startswith(f"All seeds give the same figures{where}: ") for text in told)
