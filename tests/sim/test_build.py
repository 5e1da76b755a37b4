import gzip
import json
from itertools import permutations

import numpy as np
import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import FormatError, InputError, SchemaError
from gridtwin.sim import Platform
from gridtwin.sim.build import from_atlas, from_records, relative_speeds, wlcg
from gridtwin.sim.builders.geography import one_way
from gridtwin.trace import JobTable, Provenance


def records(speeds, *, tasks=400, jobs=12, sigma=0.3, biased=True, seed=0):
    """Return jobs of tasks spread over sites; a fast site is given the large tasks if biased."""
    rng = np.random.default_rng(seed)
    names = list(speeds)
    size = rng.lognormal(8, 1.5, tasks)
    rank = np.argsort(np.argsort(size)) / tasks
    rows = []
    for task in range(tasks):
        pull = np.array([3 * np.log(speeds[name]) * (rank[task] - 0.5) * biased for name in names])
        share = np.exp(5 * pull) / np.exp(5 * pull).sum()
        for site in rng.choice(names, size=jobs, p=share):
            cpu = size[task] / speeds[site] * rng.lognormal(0, sigma)
            rows.append((f"t{task}", site, float(cpu), "finished"))
    return rows


def table(rows, **columns):
    frame = pl.DataFrame(
        rows, schema=["task_id", "site", "cpu_time", "status"], orient="row"
    ).with_columns(
        pl.int_range(pl.len()).cast(pl.String).alias("job_id"),
        pl.int_range(pl.len()).cast(pl.Float64).alias("submit_time"),
        pl.col("cpu_time").alias("run_time"),
        pl.lit(1, pl.Int64).alias("cores_req"),
    )
    return JobTable.from_frame(frame, Provenance(source="made up", rows_read=len(rows)))


SPEEDS = {"A": 0.5, "B": 1.0, "C": 1.4, "D": 2.0}


def test_speeds_are_recovered_where_fast_sites_are_given_the_large_tasks():
    rows = records(SPEEDS)
    found = relative_speeds(table(rows))
    truth = np.log([SPEEDS[name] for name in found.sites])
    truth -= np.average(truth, weights=found.jobs)
    assert found.known.all()
    deviation = np.log(found.ratio) - truth
    assert np.abs(deviation).max() < 4 * found.error.max() < 0.1
    mean = (
        pl.DataFrame(rows, orient="row").group_by("column_1").agg(pl.col("column_2").log().mean())
    )
    naive = -np.array([dict(mean.iter_rows())[name] for name in found.sites])
    naive -= np.average(naive, weights=found.jobs)
    assert np.abs(naive - truth).max() > 0.5


def test_the_estimate_is_that_of_the_two_way_regression():
    rows = records(SPEEDS, tasks=15, jobs=4, seed=3)
    found = relative_speeds(table(rows))
    tasks, sites = sorted({r[0] for r in rows}), list(found.sites)
    shared = {t for t in tasks if len({r[1] for r in rows if r[0] == t}) > 1}
    used = [r for r in rows if r[0] in shared]
    design = np.zeros((len(used), len(tasks) + len(sites)))
    for k, (task, site, *_) in enumerate(used):
        design[k, tasks.index(task)] = design[k, len(tasks) + sites.index(site)] = 1
    y = np.log([r[2] for r in used])
    solution, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    level = solution[len(tasks) :]
    log = -(level - np.average(level, weights=found.jobs))
    np.testing.assert_allclose(np.log(found.ratio), log, atol=1e-9)
    sigma2 = ((y - design @ solution) ** 2).sum() / (len(used) - rank)
    covariance = np.linalg.pinv(design.T @ design)[len(tasks) :, len(tasks) :]
    centre = np.eye(len(sites)) - 1 / len(sites)
    error = np.sqrt(sigma2 * np.diag(centre @ covariance @ centre))
    np.testing.assert_allclose(found.error, error, rtol=1e-6)


def test_errors_are_as_large_as_they_are_said_to_be():
    scores = []
    for seed in range(40):
        found = relative_speeds(table(records(SPEEDS, tasks=40, jobs=5, biased=False, seed=seed)))
        truth = np.log([SPEEDS[name] for name in found.sites])
        deviation = np.log(found.ratio) - truth
        scores.append((deviation - deviation.mean()) / found.error)
    assert 0.8 < np.std(scores) < 1.2


def test_sites_that_share_no_task_get_the_mean_and_are_marked():
    rows = records(SPEEDS) + [("own", "E", 5.0, "finished")] * 9
    rows += [("x", "F", 5.0, "finished"), ("x", "G", 9.0, "finished")]
    rows += [("t0", "H", 5.0, "failed"), ("t0", "I", 0.0, "finished")]
    found = relative_speeds(table(rows))
    assert found.sites == tuple("ABCDEFGHI")
    assert found.known.tolist() == [True] * 4 + [False] * 5
    assert found.ratio[4:].tolist() == [1.0] * 5
    assert found.jobs[4:].tolist() == [0] * 5
    platform = from_records(table(rows), speed=2e9)
    assert [site.speed for site in platform.sites[4:]] == [2e9] * 5
    assert platform.sites[4].properties == (("speed", "the mean, as not comparable"),)
    assert "standard error" in platform.sites[0].properties[0][1]
    assert platform.notes[-1] == "speeds: the mean, as not comparable, at E, F, G, H, I"
    assert platform.sites[3].speed / platform.sites[0].speed == pytest.approx(4, rel=0.1)


def test_equal_work_is_told_by_task_or_by_user_and_data_set():
    rows = records(SPEEDS, tasks=50)
    frame = table(rows).collect()
    both = frame.with_columns(user=pl.lit("u"), dataset=pl.col("task_id")).drop("task_id")
    origin = Provenance(source="made up", rows_read=frame.height)
    by_data = relative_speeds(JobTable.from_frame(both, origin))
    assert by_data.work == ("user", "dataset")
    np.testing.assert_allclose(by_data.ratio, relative_speeds(table(rows)).ratio)
    none = JobTable.from_frame(frame.drop("task_id"), origin)
    with pytest.raises(InputError, match="no columns tell which jobs do equal work"):
        relative_speeds(none)
    with pytest.raises(SchemaError, match="speeds needs the columns group"):
        relative_speeds(table(rows), work=("group",))
    platform = from_records(none)
    assert platform.sites[0].speed is None
    assert platform.notes[-1].startswith("speeds: not known")


def test_one_site_and_no_jobs():
    alone = from_records(table([("t", "A", 5.0, "finished")] * 3))
    assert alone.names == ["A"]
    assert alone.sites[0].speed is None
    assert "no work of equal task_id ran at several sites" in alone.notes[-1]
    with pytest.raises(InputError, match="speed: expected flop/s above 0"):
        from_records(table([("t", "A", 5.0, "finished")]), speed=0.0)


def test_the_speeds_behind_the_panda_like_example_are_found():
    jobs = gridtwin.examples.load("panda", days=7)
    found = relative_speeds(jobs)
    frame = jobs.collect()
    power = dict(frame.group_by("site").agg(pl.col("core_power").mean()).iter_rows())
    truth = np.log([power[name] for name in found.sites])
    known = found.known
    assert known.mean() > 0.9
    assert np.corrcoef(truth[known], np.log(found.ratio)[known])[0, 1] > 0.6


def test_a_grid_like_wlcg():
    grid = wlcg()
    assert len(grid.sites) == len(set(grid.names)) == 73
    assert [site.tier for site in grid.sites] == sorted(site.tier for site in grid.sites)
    cern = grid.sites[grid.names.index("CERN")]
    assert (cern.cores, cern.speed) == (69_300, 13.5 * 0.25e9)
    assert any("estimates" in note for note in grid.notes)
    assert grid.route("CERN", "BNL") == ("CERN-LHCOPN:up", "BNL-LHCOPN:down")
    over = ("AGLT2-LHCONE:up", "LHCONE-EU-LHCONE-NA", "praguelcg2-LHCONE:down")
    assert grid.route("AGLT2", "praguelcg2") == over
    latency = {link.name: link.latency for link in grid.links}
    for a, b in permutations(grid.names[:20], 2):
        total = sum(latency[name.partition(":")[0]] for name in grid.route(a, b))
        assert 2e-3 <= total < 0.25


@pytest.mark.parametrize("n", [1, 5, 73, 120])
def test_a_grid_of_any_size(n, tmp_path):
    grid = wlcg(n, seed=1)
    assert len(grid.sites) == len(set(grid.names)) == n
    assert grid == wlcg(n, seed=1)
    assert all(site.cores >= 1 for site in grid.sites)
    assert all(grid.route(a, b) for a, b in permutations(grid.names, 2))
    grid.save(tmp_path / "grid.toml")
    assert Platform.load(tmp_path / "grid.toml") == grid
    if n == 120:
        assert grid.sites[:73] == wlcg().sites
        assert {site.tier for site in grid.sites[73:]} <= {2, 3}
        assert grid != wlcg(n, seed=2)


def test_one_speed_for_all_and_what_is_no_grid():
    assert {site.speed for site in wlcg(9, speed=1e9).sites} == {1e9}
    with pytest.raises(InputError, match="0 sites; give 1 or more"):
        wlcg(0)
    with pytest.raises(InputError, match="usable: expected a share"):
        wlcg(usable=1.5)


def test_latency_by_distance():
    assert one_way((0, 0), (0, 0)) == 0.002
    quarter = 1.5 * 6371 * np.pi / 2 / 200_000 + 0.002
    assert one_way((0, 0), (90, 0)) == pytest.approx(quarter, abs=1e-6)
    assert one_way((0, 10), (0, -80)) == pytest.approx(quarter, abs=1e-6)


QUEUES = {
    "AGLT2": {"RSE": {"AGLT2_DATADISK": "2.5", "AGLT2_TAPE": 0}, "GFLOPS": 64_000},
    "AGLT2_MERGE": {"RSE": {"AGLT2_DATADISK": "2.5"}, "GFLOPS": 33_000},
    "ANALY_AGLT2_VP": {"RSE": {"AGLT2_VP_DISK": "1"}, "GFLOPS": 640_000},
    "BNL": {"RSE": {"BNL_X": 0, "AGLT2_DATADISK": "2.5"}, "GFLOPS": 160_000},
    "new": {"RSE": {}, "GFLOPS": 10},
}
LINKS = {
    "AGLT2:BNL-ATLAS": {"closeness": {"latest": 2}, "mbps": {"dashb": {"1h": 8, "1w": 80.0}}},
    "BNL-ATLAS:AGLT2": {"closeness": {"latest": 2}, "mbps": {"dashb": {"timestamp": "x"}}},
    "AGLT2:ELSE": {"closeness": {"latest": 2}},
}


def written(folder, name, document):
    path = folder / name
    raw = json.dumps(document).encode()
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def test_atlas_tables(tmp_path):
    queues = written(tmp_path, "q.json", QUEUES)
    links = written(tmp_path, "l.json.gz", LINKS)
    platform = from_atlas(queues, links, speed=1e9)
    assert platform.names == ["AGLT2", "BNL", "new"]
    assert platform.cores.tolist() == [4 + 2, 10, 0]
    assert platform.sites[0].speed == 1e9
    stored = {s.name: (s.kind, s.capacity) for site in platform.sites for s in site.storages}
    assert stored == {
        "AGLT2_DATADISK": ("disk", 2.5e12),
        "AGLT2_TAPE": ("tape", None),
        "AGLT2_VP_DISK": ("cache", 1e12),
        "BNL_X": ("disk", 0.0),
    }
    assert [s.name for s in platform.sites[1].storages] == ["BNL_X"]
    bandwidth = {link.name: link.bandwidth for link in platform.links}
    assert len(bandwidth) == 6
    assert bandwidth["AGLT2>BNL"] == 80e6 / 8
    assert bandwidth["BNL>AGLT2"] == bandwidth["new>BNL"] == 80e6 / 8
    assert platform.route("BNL", "AGLT2") == ("BNL>AGLT2",)
    notes = " ".join(platform.notes)
    assert "5 queues of q.json at 3 sites, 4 of them by the map of queues; 1 share" in notes
    assert "6 directed links, 1 measured" in notes
    assert "2 of 3 sites are in the table of links; 1 sites of that table" in notes
    assert "no cores at new" in notes


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"A": 3}, "q.json: A: expected"),
        ({"A": {"RSE": {}, "GFLOPS": "many"}}, "q.json: A: expected"),
        ({"A": {"RSE": {"d": "x"}, "GFLOPS": 1}}, "A.RSE: expected names and TB"),
        ({"A": {"RSE": {}, "GFLOPS": 1, "CPUCount": 2, "CPUSpeed": [1e9]}}, "expected 2 speeds"),
        ({"A": {"RSE": {}, "GFLOPS": 1, "CPUSpeed": [0]}}, "CPUSpeed: expected a list of flop/s"),
        ([], "expected a JSON object"),
    ],
)
def test_other_tables_of_queues_are_refused(tmp_path, document, message):
    with pytest.raises(FormatError, match=message):
        from_atlas(written(tmp_path, "q.json", document))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"AGLT2": {}}, 'expected "SOURCE:DESTINATION"'),
        ({"AGLT2:BNL-ATLAS": {"closeness": 3}}, "closeness or mbps are not as expected"),
        ({"AGLT2:BNL-ATLAS": {"mbps": {"dashb": {"1h": -1}}}}, "expected numbers of 0 or more"),
        ({"AGLT2:BNL-ATLAS": {"closeness": {"latest": "x"}}}, "expected a whole number, got 'x'"),
        ({"AGLT2:BNL-ATLAS": {}}, "no rate between the sites of the queues"),
    ],
)
def test_other_tables_of_links_are_refused(tmp_path, document, message):
    queues = written(tmp_path, "q.json", QUEUES)
    with pytest.raises(FormatError, match=message):
        from_atlas(queues, written(tmp_path, "l.json", document))


def test_atlas_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="give one of ATLAS's tables"):
        from_atlas(tmp_path / "none.json")
    path = tmp_path / "bad.json.gz"
    for raw in (b"{", b"\x1f\x8b\x08", b"\xff\xff"):
        path.write_bytes(raw)
        with pytest.raises(FormatError, match="is no JSON file"):
            from_atlas(path)


@pytest.mark.parametrize(
    ("name", "sites", "queues"),
    [
        ("site_info.json", 100, 150),
        ("site_info_cpu.json.gz", 100, 150),
        ("site_info_bnl.json", 1, 2),
    ],
)
def test_atlas_own_tables_of_queues(data_dir, name, sites, queues):
    platform = from_atlas(data_dir / "sites" / name)
    assert len(platform.sites) == sites
    assert platform.notes[0].startswith(f"{queues} queues of {name} at {sites} sites, {queues} of")
    assert Platform.from_dict(platform.to_dict()) == platform
    if "cpu" in name:
        assert {p.speed for site in platform.sites for p in site.pools} == {1e9, 2e9}


def test_atlas_own_table_of_links(data_dir):
    folder = data_dir / "sites"
    platform = from_atlas(folder / "site_info.json", folder / "site_conn_info.json.gz")
    assert len(platform.links) == len(platform.routes) == 100 * 99
    assert min(link.bandwidth for link in platform.links) > 0
    assert max(link.latency for link in platform.links) < 0.25
    assert "3,774 measured" in " ".join(platform.notes)
    assert platform.route("BNL", "CERN") == ("BNL>CERN",)
