"""The referee: what it accepts, what it says, and SimGrid itself where it is installed."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gridtwin.core.errors import FormatError, InputError, MissingExtraError
from gridtwin.sim import scenarios
from gridtwin.sim.parts import Link, Pool, Site
from gridtwin.sim.platform import Platform
from gridtwin.sim.referee import MOST_JOBS, Case, Host, Times, available, differences, referee
from gridtwin.sim.workload import Files, Workload

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
GRID = {
    "sites": 2,
    "cores_per_site": 4,
    "hosts_per_site": 2,
    "core_speed_flops": 1e9,
    "wan_bandwidth_Bps": [1e8, 2e8],
    "wan_latency_s": "1e-3*(1+2*site)",
    "lan_bandwidth_Bps": 1e9,
    "lan_latency_s": 1e-5,
    "origin_link_bandwidth_Bps": 1e15,
    "origin_link_latency_s": 0.0,
}
needs_simgrid = pytest.mark.skipif(
    not available(), reason="SimGrid is not installed: docs/howto/simgrid-referee.md builds it"
)


def jobs(n=3, **columns):
    frame = pl.DataFrame({"submit": np.arange(float(n))})
    frame = frame.with_columns(input_bytes=pl.lit(10**9), flops=pl.lit(1e10))
    return frame.with_columns(**columns)


def case(**changes):
    given = {"submit": [0.0, 1.0], "input_bytes": [10**9, 0], "flop": [1e10, 2e10]} | changes
    hosts = given.pop("hosts", [Host(0, 2, 1e9)])
    links = given.pop("links", [Link("wan", 1e8, 0.005)])
    return Case.of(hosts, links, given.pop("routes", {(0, 0): ("wan",)}), **given)


def times(**changes):
    given = {"site": [0, 1], "start": [0.0, 1.0], "stage_in_end": [2.0, 3.0], "end": [4.0, 5.0]}
    return Times(**{name: np.array(v) for name, v in (given | changes).items()})


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_keep_the_rules_they_state(path):
    ran, theirs = scenarios.read(path)
    wait, stage = theirs.start - ran.submit, theirs.stage_in_end - theirs.start
    assert (wait >= 0).all()
    assert ((stage > 0) == (ran.input_bytes > 0)).all()
    speed = np.array([next(h.speed for h in ran.hosts if h.site == s) for s in theirs.site])
    np.testing.assert_allclose(theirs.end - theirs.stage_in_end, ran.flop / speed, rtol=1e-9)
    assert _never_oversubscribed(ran, theirs)
    fastest = 0.97 * max(link.bandwidth for link in ran.links if link.bandwidth < 1e15)
    assert (stage >= ran.input_bytes / fastest).all()
    for site in range(ran.sites):
        assert (np.diff(theirs.start[theirs.site == site]) >= 0).all()


def _never_oversubscribed(ran, theirs):
    for site in range(ran.sites):
        mine = theirs.site == site
        size = sum(host.cores for host in ran.hosts if host.site == site)
        at = theirs.start[mine]
        busy = (theirs.start[mine] <= at[:, None]) & (theirs.end[mine] > at[:, None])
        if ((busy * ran.cores[mine]).sum(axis=1) > size).any():
            return False
    return True


def test_a_golden_file_of_one_job_agrees_with_the_equations():
    ran, theirs = scenarios.read(next(path for path in GOLDEN if path.stem == "one_job"))
    latency = sum(link.latency for link in ran.links if link.name in {"origin", "wan0", "lan0_0"})
    slowest = min(link.bandwidth for link in ran.links)
    bound = min(slowest / 1.05, 4194304 / (2 * latency))
    took = 13.01 * latency + ran.input_bytes / (0.97 * bound)
    np.testing.assert_allclose(theirs.stage_in_end - theirs.start, took, rtol=1e-9)


def test_golden_files_are_there_in_variety():
    assert {"wan_gamma", "uplink_unequal", "all_split", "one_job", "wide_jobs"} <= {
        path.stem for path in GOLDEN
    }


@needs_simgrid
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_simgrid_repeats_its_golden_files(path):
    ran, theirs = scenarios.read(path)
    apart = differences(referee(ran), theirs)
    assert apart["site"]["equal"] == 1
    assert max(apart[name]["max_abs"] for name in ("start", "stage_in_end", "end")) <= 1e-9


@needs_simgrid
def test_a_flow_alone_takes_what_the_equations_say():
    out = referee(case())
    took = 13.01 * 0.005 + 1e9 / (0.97 * 1e8 / 1.05)
    np.testing.assert_allclose(out.stage_in_end, [took, 1.0], rtol=1e-12)
    np.testing.assert_allclose(out.end, [took + 10, 21.0], rtol=1e-12)


@needs_simgrid
def test_no_jobs_and_what_ends_simgrid():
    nothing = referee(case(submit=[], input_bytes=[], flop=[]))
    assert len(nothing.start) == 0
    with pytest.raises(InputError, match="SimGrid ended before the jobs did"):
        referee(case(links=[Link("wan", 1e8), Link("wan", 1e8)]))


@pytest.mark.skipif(available(), reason="SimGrid is installed here")
def test_without_simgrid_the_error_names_the_extra():
    with pytest.raises(MissingExtraError, match=r"gridtwin\[simgrid\]"):
        referee(case())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"submit": [1.0, 0.0]}, "never fall"),
        ({"submit": [0.0, np.nan]}, "finite"),
        ({"submit": [0.0, -1.0]}, "never fall"),
        ({"submit": [[0.0]]}, "one entry for each"),
        ({"submit": np.zeros(MOST_JOBS + 1)}, "extract"),
        ({"flop": [1.0]}, "2 entries"),
        ({"flop": [1.0, np.inf]}, "finite"),
        ({"input_bytes": [0.5, 1]}, "whole numbers"),
        ({"input_bytes": [-1, 1]}, "from 0"),
        ({"cores": 0}, "from 1"),
        ({"cores": 3}, "needs 3 cores, a site has 2"),
        ({"site": [0, 1]}, "none of the 1"),
        ({"site": [0, -2]}, "from -1"),
        ({"hosts": []}, "none"),
        ({"links": [Link("wan", 0.0)]}, "never end"),
        ({"routes": {}}, "no route"),
        ({"routes": {(0, 0): ("lan",)}}, "no link 'lan'"),
        ({"hosts": [Host(0, 2, 1e9, ("lan",))]}, "no link 'lan'"),
        ({"routes": {(0, 0): ("wan:up",)}}, "only split"),
        ({"hosts": [Host(0, 2, 0.0)]}, "speed"),
    ],
)
def test_what_cannot_run_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        case(**changes)


ORIGIN = Platform(
    (
        Site("A", (Pool(2, 2, 1e9),), lan="lan A"),
        Site("B", (Pool(3, 1, 2e9),)),
    ),
    links=(
        Link("A-x", 1e8, 0.01, "split", ends=("A", "x")),
        Link("B-x", 5e7, 0.03, ends=("B", "x")),
        Link("lan A", 1e9, 1e-4, "split"),
        Link("uplink", 1.2e8, 0.002, ends=("x", "origin")),
    ),
    routers=("x", "origin"),
)


def workload(n=40, **changes):
    rng = np.random.default_rng(5)
    given = {
        "submit": np.cumsum(rng.exponential(8.0, n)),
        "cores": rng.integers(1, 4, n),
        "run": np.full(n, 5.0),
        "flop": rng.exponential(4e10, n),
        "input_ptr": np.arange(0, 2 * n + 1, 2),
        "input_file": np.tile([0, 1], n),
        "files": Files(
            np.array([3e8, 5e8]), replica_file=np.array([0, 1]), replica_node=np.array([3, 0])
        ),
    }
    return Workload(**(given | changes))


def test_a_platform_and_its_jobs_become_a_case():
    ran = Case.from_platform(ORIGIN, workload(2))
    assert ran.hosts == (
        *[Host(0, 2, 1e9, ("lan A:down",))] * 2,
        Host(1, 3, 2e9),
    )
    assert ran.routes == {
        (0, 0): None,
        (0, 1): ("lan A:up", "A-x:up", "B-x"),
        (3, 0): ("uplink", "A-x:down"),
        (3, 1): ("uplink", "B-x"),
    }
    assert ran.back[0, 1] == ("B-x", "A-x:down", "lan A:down")
    assert ran.input_job.tolist() == [0, 0, 1, 1]
    assert ran.source.tolist() == [3, 0, 3, 0]


@needs_simgrid
def test_flows_that_start_together_need_simgrid_to_share_everything_anew():
    """The second escapes its own link by default, as it shares the first link of its route."""
    hosts = [Host(0, 1, 1e9), Host(1, 1, 1e9)]
    links = [Link("up", 1e9, 0.002), Link("a", 1e8, 0.005), Link("b", 1e8, 0.005)]
    given = {"submit": [0.0, 0.0], "input_bytes": 10**9, "flop": 0.0, "site": [0, 1]}
    routes = {(0, 0): ("up", "a"), (0, 1): ("up", "b")}
    out = referee(Case.of(hosts, links, routes, **given, config=["network/optim:Full"]))
    latency, bare = 13.01 * 0.007, 1e9 / (0.97 * 1e8)
    np.testing.assert_allclose(out.end, latency + bare * 1.05, rtol=1e-12)
    out = referee(Case.of(hosts, links, routes, **given))
    np.testing.assert_allclose(out.end, [latency + bare * 1.05, latency + bare], rtol=1e-12)


@needs_simgrid
def test_simgrid_runs_a_platform():
    jobs = workload(site=np.arange(40) % 2)
    out = referee(Case.from_platform(ORIGIN, jobs))
    assert (out.site == jobs.site).all()
    np.testing.assert_allclose(
        out.end - out.stage_in_end, jobs.flop / np.array([1e9, 2e9])[out.site], rtol=1e-9
    )
    latency = 0.0121
    took = 13.01 * latency + 3e8 / (0.97 * 1e8)
    assert out.stage_in_end[0] - out.start[0] == pytest.approx(took, rel=1e-12)


@needs_simgrid
def test_without_speed_or_work_a_job_takes_its_run():
    jobs = workload(3, site=np.zeros(3, np.int64), flop=np.array([np.nan, 1e9, 0.0]))
    out = referee(Case.from_platform(ORIGIN, jobs))
    np.testing.assert_allclose(out.end - out.stage_in_end, [5.0, 1.0, 0.0], atol=1e-9)


@pytest.mark.parametrize(
    ("platform", "changes", "message"),
    [
        (Platform((Site("A", (Pool(4), Pool(4))),)), {}, "several pools"),
        (ORIGIN, {"request": np.full(40, 9.0)}, "killed"),
        (ORIGIN, {"priority": np.arange(40.0)}, "priorities"),
        (ORIGIN, {"output": np.ones(40)}, "outputs"),
        (ORIGIN, {"stream": np.ones(40, bool)}, "streams"),
        (ORIGIN, {"files": Files(np.ones(2))}, "no replica"),
        (
            ORIGIN,
            {"files": Files(np.ones(2), None, np.array([0, 0, 1]), np.array([0, 3, 3]))},
            "several replicas",
        ),
        (Platform((Site("A"), Site("B", (Pool(4),)))), {}, "without pools"),
    ],
)
def test_what_simgrid_would_not_be_told_is_refused(platform, changes, message):
    with pytest.raises(InputError, match=message):
        Case.from_platform(platform, workload(**changes))


def test_differences():
    apart = differences(times(), times(site=[0, 0], end=[4.0, 10.0]))
    assert apart["site"] == {"equal": 0.5}
    assert apart["start"] == {"max_abs": 0.0, "max_rel": 0.0, "equal": 1.0}
    assert apart["end"] == {"max_abs": 5.0, "max_rel": 0.5, "equal": 0.5}
    with pytest.raises(InputError, match="2 jobs against 0"):
        differences(times(), Times(*(np.zeros(0),) * 4))


def test_a_scenario_is_read_as_it_was_written(tmp_path):
    frame = jobs(cores=pl.Series([1, 2, 3]))
    ran = scenarios.build(GRID | {"wan_sharing": "split"}, frame)
    assert [link.latency for link in ran.links if link.name.startswith("wan")] == [1e-3, 3e-3]
    assert [link.bandwidth for link in ran.links if link.name.startswith("wan")] == [1e8, 2e8]
    assert [host.lan for host in ran.hosts] == [("lan0_0",), ("lan0_1",), ("lan1_0",), ("lan1_1",)]
    theirs = times(
        site=[0, 1, 0], start=[0.0, 1.0, 2.0], stage_in_end=[1 / 3] * 3, end=[0.1, 0.2, 0.3]
    )
    for name in ("a.json", "b.json"):
        scenarios.write(tmp_path / name, GRID | {"wan_sharing": "split"}, ran, theirs)
    again, same = scenarios.read(tmp_path / "a.json")
    assert again.links == ran.links
    assert again.hosts == ran.hosts
    assert again.routes == ran.routes
    assert (again.cores == [1, 2, 3]).all()
    assert all(d["equal"] == 1 for d in differences(theirs, same).values())
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_one_lan_link_per_site():
    ran = scenarios.build(GRID | {"lan_scope": "site"}, jobs())
    assert [link.name for link in ran.links] == ["origin", "wan0", "lan0", "wan1", "lan1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wan_latency_s": [1.0]}, "wan_latency_s"),
        ({"wan_latency_s": "site.real"}, "numbers and .site."),
        ({"wan_latency_s": "1e-3*("}, "no arithmetic"),
        ({"hosts_per_site": 3}, "hosts_per_site"),
        ({"hosts_per_site": 0}, "hosts_per_site"),
        ({"wan_sharing": "both"}, "sharing"),
        ({"wan_bandwidth_Bps": None}, "wan_bandwidth_Bps"),
        ({"sites": "two"}, "sites"),
        ({"sites": -1}, "sites"),
        ({"lan_scope": "rack"}, "lan_scope"),
    ],
)
def test_a_bad_scenario_names_the_key(changes, message):
    with pytest.raises(InputError, match=message):
        scenarios.build(GRID | changes, jobs())
    with pytest.raises(InputError, match="sites is missing"):
        scenarios.build({}, jobs())


def test_a_damaged_scenario_names_the_file(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(FormatError, match="no such file"):
        scenarios.read(path)
    scenarios.write(path, GRID, scenarios.build(GRID, jobs(2)), times())
    whole = path.with_suffix(".csv.gz").read_bytes()
    path.with_suffix(".csv.gz").write_bytes(whole[:-20])
    with pytest.raises(FormatError, match=r"a\.json"):
        scenarios.read(path)
    path.with_suffix(".csv.gz").write_bytes(whole)
    for text in ("{", "[]", "3", '{"sites": 2}'):
        path.write_text(text)
        with pytest.raises(FormatError, match=r"a\.json"):
            scenarios.read(path)
