"""What each what-if changes, and what it leaves as it is."""

import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import GridtwinError, InputError
from gridtwin.sim import Faults, Link, Platform, Pool, Route, Site, Storage
from gridtwin.study.jobs import DAY, Given, midnight
from gridtwin.study.run import run_one
from gridtwin.study.scenarios import checked
from gridtwin.study.spec import parse
from gridtwin.study.whatif import WhatIf, change_faults, change_jobs, change_platform
from gridtwin.study.world import World, observed_faults
from gridtwin.trace import examples

GRID = Platform(
    (
        Site("A", (Pool(100, speed=2e9),), (Storage("disk", 1e12, 1e9, 1e9),), tier=1),
        Site("B", (Pool(50, speed=1e9),)),
        Site("C", (Pool(50, speed=1e9),)),
    ),
    (
        Link("A-up", 1e9, 0.01, "split", ("A", "hub")),
        Link("B-up", 1e8, 0.01, "split", ("B", "hub")),
        Link("C-up", 1e8, 0.01, "split", ("C", "hub")),
        Link("A-own", 1e9),
        Link("B-own", 1e9),
    ),
    (Route("A", "B", ("A-own", "B-own")), Route("A", "C", ("A-own", "C-up:down"))),
    ("hub",),
)


@pytest.fixture(scope="module")
def panda():
    jobs = examples.load("panda", days=4, scale=0.02, seed=1)
    jobs = jobs.with_frame(jobs.collect())
    return Given(jobs, midnight(jobs.collect()))


def whatif(**keys):
    return checked(WhatIf, keys, "whatif")


def changed(given, root=None, seed=0, **keys):
    rng = np.random.default_rng(seed)
    return change_jobs(whatif(**keys), given, given.frame, root, rng)


def test_nothing_changes_nothing(panda):
    assert changed(panda).frame.equals(panda.frame)
    assert change_platform(whatif(), GRID) == GRID


@pytest.mark.parametrize("factor", [0.3, 0.5, 1.5, 2.0, 2.75])
def test_more_or_fewer_jobs_keep_their_tasks_and_their_hours(panda, factor):
    before, after = panda.frame, changed(panda, load=factor).frame
    largest = before.group_by("task_id").len()["len"].max()
    assert abs(after.height - factor * before.height) <= largest
    assert after["job_id"].n_unique() == after.height
    assert after["submit_time"].is_sorted()
    assert after["submit_time"].min() >= panda.begin
    hours = [f["submit_time"] % DAY for f in (before, after)]
    assert set(hours[1].round(3)) <= set(hours[0].round(3))
    sizes = {n: f.group_by("task_id").len() for n, f in (("before", before), ("after", after))}
    assert set(sizes["after"]["len"]) <= set(sizes["before"]["len"])  # whole tasks
    parents = after.drop_nulls("parent_id")["parent_id"]
    assert parents.is_in(after["job_id"].implode()).mean() == pytest.approx(
        before.drop_nulls("parent_id")["parent_id"].is_in(before["job_id"].implode()).mean(),
        abs=0.2,
    )


def test_copies_are_sent_on_other_days(panda):
    after = changed(panda, load=2).frame
    pairs = after.filter(pl.col("job_id").str.ends_with("*")).with_columns(
        pl.col("job_id").str.strip_suffix("*")
    )
    both = pairs.join(panda.frame, on="job_id")
    shift = (both["submit_time"] - both["submit_time_right"]) / DAY
    assert both.height == panda.frame.height
    assert (shift - shift.round()).abs().max() < 1e-6
    assert shift.abs().min() >= 1


def test_load_for_a_time_changes_only_that_time(panda):
    after = changed(panda, load={"factor": 3, "at_days": 1, "days": 2}).frame
    for frame in (after, panda.frame):
        assert frame.height
    day = [
        ((f["submit_time"] - panda.begin) // DAY).value_counts().sort("submit_time")["count"]
        for f in (panda.frame, after)
    ]
    assert day[0][0] == day[1][0]
    assert day[1][1:3].sum() > 2 * day[0][1:3].sum()


def test_the_same_seed_draws_the_same(panda):
    assert changed(panda, load=1.5).frame.equals(changed(panda, load=1.5).frame)
    assert not changed(panda, load=1.5).frame.equals(changed(panda, load=1.5, seed=1).frame)


def test_users_are_removed_and_added(panda):
    user = panda.frame["user"].mode().sort()[0]
    mine = panda.frame.filter(pl.col("user") == user).height
    less = changed(panda, removed={"user": user}).frame
    assert less.height == panda.frame.height - mine
    assert user not in less["user"]
    more = changed(panda, added={"like": {"user": [user]}, "name": "new"}).frame
    assert (more["user"] == f"{user}@new").sum() == mine == (more["group"] == "new").sum()
    assert more.height == panda.frame.height + mine
    with pytest.raises(InputError, match=r"whatif\.removed\.user: no job has 'nobody'; frequent"):
        changed(panda, removed={"user": "nobody"})
    with pytest.raises(GridtwinError, match=r"whatif\.removed\.usr: the jobs have no such column"):
        changed(panda, removed={"usr": "u"})


def test_records_of_others_are_added(panda, jobs, tmp_path):
    import gridtwin

    gridtwin.write(jobs, tmp_path / "others.parquet")
    after = changed(panda, tmp_path, added={"records": "others.parquet", "at_days": 2}).frame
    new = after.filter(pl.col("job_id").str.ends_with("@new"))
    assert new.height == len(jobs)
    assert 0 <= new["submit_time"].min() - panda.begin - 2 * DAY < DAY


def test_data_sets_are_renewed(panda):
    given = changed(panda, renewal={"at_days": 2, "factor": 2, "sites": ["A", "B"]})
    start = panda.begin + 2 * DAY
    early, late = (
        given.frame.filter(c)
        for c in (pl.col("submit_time") < start, pl.col("submit_time") >= start)
    )
    assert not early["dataset"].str.ends_with("~new").any()
    assert late.drop_nulls("dataset")["dataset"].str.ends_with("~new").all()
    before = panda.frame.filter(pl.col("submit_time") >= start)["input_bytes"]
    known = late["dataset"].is_not_null()
    assert (late["input_bytes"] - 2 * before).filter(known).abs().max() == 0
    assert set(given.replicas["site"]) == {"A", "B"}
    assert set(late["dataset"].drop_nulls()) <= set(given.replicas["dataset"])
    some = changed(panda, renewal={"share": 0.5}).frame
    assert 0 < some["dataset"].str.ends_with("~new").sum() < some.height


def test_a_site_is_added_like_another():
    new = change_platform(whatif(new={"site": "N", "cores": 10, "like": "A"}), GRID)
    site = new.sites[-1]
    assert (site.name, site.cores, site.speed, site.tier) == ("N", 10, 2e9, 1)
    assert new.route("N", "B") == ("N/A-own", "B-own")
    assert new.route("N", "C") == ("N/A-own", "C-up:down")
    assert new.route("N", "A") == ("N/A-up:up", "A-up:down")
    assert new.route("A", "B") == GRID.route("A", "B")
    assert {link.name for link in new.links} - {link.name for link in GRID.links} == {
        "N/A-up",
        "N/A-own",
    }
    alone = change_platform(whatif(new={"site": "N", "cores": 10}), GRID)
    assert alone.sites[-1].speed == pytest.approx(1.5e9)


def test_links_and_storages_change():
    slow = change_platform(whatif(link={"site": "A", "factor": 0.5}), GRID)
    width = {link.name: link.bandwidth for link in slow.links}
    assert width == {"A-up": 5e8, "B-up": 1e8, "C-up": 1e8, "A-own": 5e8, "B-own": 1e9}
    one = change_platform(whatif(link={"link": "B-up", "bandwidth": "8 Gbps"}), GRID)
    assert {k.name: k.bandwidth for k in one.links}["B-up"] == 1e9
    full = change_platform(whatif(storage={"site": "A", "factor": 0.1, "read": "1 MBps"}), GRID)
    disk = full.sites[0].storages[0]
    assert (disk.capacity, disk.read, disk.write) == (1e11, 1e6, 1e9)
    for bad in ({"link": {"link": "x"}}, {"storage": {"site": "B"}}, {"link": {"site": "Z"}}):
        with pytest.raises(InputError, match="whatif"):
            change_platform(whatif(**bad), GRID)


def test_lost_and_late_sites_are_outages(tmp_path):
    (tmp_path / "cal.toml").write_text('[[outage]]\nsite = "B"\nstart = 10.0\nend = 20.0\n')
    asked = whatif(
        lost={"site": ["A", "B"], "at_days": 1, "days": 2, "share": 0.25},
        new={"site": "N", "cores": 1, "at_days": 3, "days": 1},
        outages="cal.toml",
    )
    platform = change_platform(asked, GRID)
    found = change_faults(asked, Faults(), platform, 0.0, tmp_path).outages
    assert [(o.site, o.start / DAY, o.end / DAY, o.factor) for o in found[:4]] == [
        ("A", 1, 3, 0.75),
        ("B", 1, 3, 0.75),
        ("N", -1, 3, 0),
        ("N", 4, np.inf, 0),
    ]
    assert (found[4].start, found[4].end) == (10, 20)


def outcome(text, root, label, seed=0):
    spec = parse(text, root=root)
    return run_one(World(spec), spec.scenario(label), seed)


RUN = """
[workload]
example = "panda"
days = 3
scale = 0.02
replicate = "fixed"
[platform]
example = "panda"
share = 0.5
[policy]
queue = "fcfs"
"""


def test_a_storm_lets_attempts_fail_while_it_lasts(tmp_path):
    text = RUN + (
        '[[whatif]]\nname = "base"\n[[whatif]]\nname = "storm"\n'
        "storm = { chance = 1.0, at_days = 1, days = 1 }\n"
        '[[whatif]]\nname = "weak"\nstorm = { chance = 0.0 }\n'
        '[[whatif]]\nname = "elsewhere"\nstorm = { chance = 1.0, site = "CERN" }\n'
    )
    rate = {
        name: outcome(text, tmp_path, name).figures["failure_rate"]
        for name in ("base", "storm", "weak", "elsewhere")
    }
    assert rate["base"] == rate["weak"] == 0.0
    assert 0.1 < rate["storm"] < 0.9
    assert 0.0 < rate["elsewhere"] < 0.5


def test_policies_are_switched_at_a_time(tmp_path):
    text = RUN + (
        '[[whatif]]\nname = "base"\n'
        '[[whatif]]\nname = "early"\nswitch = { at_days = 0, broker = "random" }\n'
        '[[whatif]]\nname = "late"\nswitch = { at_days = 30, broker = "random" }\n'
        '[[whatif]]\nname = "queue"\nswitch = { at_days = 1, queue = "lcfs", site = "CERN" }\n'
        '[[whatif]]\nname = "called"\nswitch = [{ at_days = 1, broker = "olb" }, '
        '{ at_days = 2, broker = "least_loaded" }]\n'
    )
    found = {
        name: outcome(text, tmp_path, name).figures
        for name in ("base", "early", "late", "queue", "called")
    }
    assert found["late"] == found["base"]
    always = RUN.replace("[policy]", '[policy]\nbroker = "random"')
    assert found["early"] == outcome(always, tmp_path, "base").figures
    assert found["called"]["moved_bytes"] != found["base"]["moved_bytes"]
    assert found["queue"]["jobs"] == found["base"]["jobs"]


def test_what_a_seed_changes(tmp_path):
    def jobs(replicate, seed):
        spec = parse(RUN.replace('"fixed"', f'"{replicate}"'), root=tmp_path)
        return World(spec).jobs(spec.scenarios[0], seed).frame

    assert jobs("fixed", 0).equals(jobs("fixed", 1))
    assert jobs("fixed", 0).equals(jobs("new", 0))
    assert not jobs("new", 0).equals(jobs("new", 1))
    assert not jobs("days", 0).equals(jobs("days", 1))
    assert jobs("days", 1).equals(jobs("days", 1))


def test_a_model_draws_another_trace_for_each_seed(tmp_path, jobs):
    from gridtwin import models

    models.get("trace")(seed=0).fit(jobs).save(tmp_path / "model")
    spec = parse('[workload]\nmodel = "model"\ndays = 5\nrate = 2.0\n', root=tmp_path)
    world = World(spec)
    first, second = (world.jobs(spec.scenarios[0], seed).frame for seed in (0, 1))
    assert not first.equals(second)
    assert World(spec).jobs(spec.scenarios[0], 1).frame.equals(second)
    assert first["submit_time"].max() - first["submit_time"].min() <= 5 * DAY


def test_one_workload_follows_another(tmp_path):
    spec = parse(
        RUN.replace(
            'replicate = "fixed"', 'then = { example = "panda", days = 2, scale = 0.02, seed = 4 }'
        )
    )
    world = World(spec)
    given = world.jobs(spec.scenarios[0], 0)
    second = given.frame.filter(pl.col("job_id").str.ends_with(".then"))
    first = given.frame.filter(~pl.col("job_id").str.ends_with(".then"))
    assert first["submit_time"].max() < second["submit_time"].min()
    assert (second["submit_time"].min() - given.begin) // DAY in (3, 4)


def test_failures_are_those_of_the_records(panda):
    faults = observed_faults(panda.jobs, Platform((Site.of("CERN", 10), Site.of("Nowhere", 10))))
    over = panda.frame.filter(pl.col("status").is_in(["finished", "failed"]))
    at = over.filter(pl.col("site") == "CERN")
    assert faults.chance["CERN"] == pytest.approx((at["status"] == "failed").mean())
    assert faults.chance["Nowhere"] == pytest.approx((over["status"] == "failed").mean())
    assert all(":" in failure.code for failure in faults.failures)
