"""Scenarios of other simulators, read and run whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import gridtwin
from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim import Link, Platform, Result, Site
from gridtwin.sim.assemble import Rules
from gridtwin.sim.formats.batsim_jobs import read_jobs as read_batsim_jobs
from gridtwin.sim.formats.cgsim_attempts import read_events
from gridtwin.sim.formats.dcsim_results import read_results
from gridtwin.sim.formats.scenario import Scenario, load

CPU = {"units": 1, "cores": 2, "speed": 10.0, "BW_CPU": "1GBps", "LAT_CPU": "0s"}
DISK = {"name": "D", "read_bw": "1GBps", "write_bw": "1GBps"}
SITES = {
    name: {
        "SITE_PROPERTIES": {"storage_capacity_bytes": "1e9", "GFLOPS": gflops},
        "CPUInfo": [CPU | {"disks": [DISK]}],
        "files": files,
    }
    for name, gflops, files in (("A", "20", []), ("B", "10", [["in.1", 1000000]]))
}
CONFIG: dict[str, Any] = {
    "Grid_Name": "two",
    "Sites_Information": "/nowhere/at/all/sites.json",
    "Sites_Connection_Information": "wan.json",
    "Plugin": "/nowhere/simple.so",
    "Limited_Sites": [],
    "Custom_Parameters": {"Num_of_Jobs": "-1", "jobs_file": "/nowhere/jobs.csv", "policy": "x"},
}
CSV = (
    "pandaid,creationtime,cpuconsumptiontime,computingsite,corecount,inputfilebytes,files_info\n"
    '1,0,60,A,2,,"{""in.1"": 1000000}"\n'
    '2,5,60,B,1,,"{""in.1"": 1000000, ""in.2"": 500}"\n'
    "3,6,30,A,1,77,\n"
    "4,-3,30,A,1,,\n"
)
BATSIM: dict[str, Any] = {
    "nb_res": 4,
    "jobs": [
        {"id": "a", "subtime": 0, "res": 4, "profile": "ten"},
        {"id": "c", "subtime": 2, "res": 1, "profile": "ten", "walltime": 4},
        {"id": "b", "subtime": 1, "res": 2, "profile": "ten"},
        {"id": "d", "subtime": 3, "res": 1, "profile": "ten", "dependencies": ["b"]},
        {"id": "w", "subtime": 4, "res": 9, "profile": "ten"},
    ],
    "profiles": {"ten": {"type": "delay", "delay": 10}},
}
MOVED = 1.05 / 0.97  # s for 1 MB on a link of 1 MB/s that both directions share (LV08)
XML = """<?xml version='1.0'?>
<platform version="4.1"><zone id="z" routing="Full">
 <host id="W" speed="1Gf" core="1"><prop id="type" value="worker"/></host>
 <host id="S" speed="1Gf" core="1"><prop id="type" value="storage"/>
  <disk id="d" read_bw="1GBps" write_bw="1GBps"><prop id="size" value="1TB"/></disk></host>
 <link id="l" bandwidth="1MBps" latency="0s"/>
 <route src="W" dst="S"><link_ctn id="l"/></route>
</zone></platform>"""


def gaussian(average: float) -> dict[str, Any]:
    return {"type": "gaussian", "average": average, "sigma": 0}


DATASETS = {"raw": {"location": ["S"], "num_files": 2, "filesize": gaussian(1e6)}}
WORK = {
    "num_jobs": 2,
    "cores": {"type": "histogram", "counts": [0, 1]},
    "flops": gaussian(4e9),
    "memory": gaussian(2e9),
    "outfilesize": gaussian(10),
    "submission_time": 5,
}
WORKLOADS = {
    "late": WORK | {"workload_type": "copy", "infile_datasets": ["raw"]},
    "soon": WORK | {"workload_type": "calculation", "submission_time": 1, "num_jobs": 1},
}


def flow(**machine: Any) -> dict[str, Any]:
    parents = {"one": "", "two": "one", "three": "one", "end": "two three"}
    files = {"one": ("w", "x"), "two": ("x", "y"), "three": ("x", ""), "end": ("y", "")}
    tasks = [
        {"name": key, "id": key, "parents": above.split(), "children": []}
        | {"inputFiles": files[key][0].split(), "outputFiles": files[key][1].split()}
        for key, above in parents.items()
    ]
    body: dict[str, Any] = {
        "specification": {
            "tasks": tasks,
            "files": [{"id": name, "sizeInBytes": 1000000} for name in "wxy"],
        },
        "execution": {
            "makespanInSeconds": 9,
            "executedAt": "now",
            "tasks": [{"id": key, "runtimeInSeconds": k + 1.0} for k, key in enumerate(parents)],
            "machines": [{"nodeName": "m"} | machine] if machine else [],
        },
    }
    return {"name": "flow", "schemaVersion": "1.5", "workflow": body}


def put(folder: Path, **documents: Any) -> Path:
    """Write documents by name, JSON unless they are text; return the first one's path."""
    paths = []
    for name, value in documents.items():
        path = folder / (f"{name}.json" if not isinstance(value, str) else name.replace("_", "."))
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        paths.append(path)
    return paths[0]


def cgsim(folder: Path, **changes: Any) -> Path:
    custom = CONFIG["Custom_Parameters"] | changes.pop("custom", {})
    config = CONFIG | changes | {"Custom_Parameters": custom}
    wan = {"A:B": {"bandwidth": "1MBps", "latency": "0s"}}
    return put(folder, config=config, sites=SITES, wan=wan, jobs_csv=CSV)


def dcsim(folder: Path, **options: Any) -> Scenario:
    path = put(folder, p_xml=XML, d=DATASETS, w=WORKLOADS)
    given = {"datasets": folder / "d.json", "workloads": folder / "w.json"} | options
    return load(path, **given)


def run(scenario: Scenario, **options: Any) -> Result:
    return gridtwin.simulate(
        scenario.jobs, platform=scenario.platform, work=scenario.work, **options
    )


def times(result: Result) -> dict[str, tuple[float, float]]:
    rows = result.jobs.collect().select("job_id", "start_time", "end_time").iter_rows()
    return {name: (start, end) for name, start, end in rows}


def test_a_config_of_cgsim_is_run_with_its_jobs_and_files(tmp_path: Path) -> None:
    scenario = load(cgsim(tmp_path))
    assert scenario.simulator == "cgsim"
    assert scenario.jobs.provenance.dropped == {"negative creationtime": 1}
    result = run(scenario, broker="recorded", policy="fcfs")
    assert result.outcomes == {"finished": 3}
    # 60 s at GFLOPS 20 are 120 s at speed 10, after the file has come
    found = times(result)
    assert found["1"] == (0.0, pytest.approx(120 + MOVED, abs=0.01))
    assert found["2"] == (5.0, pytest.approx(65.0, abs=0.01))  # is where its files are
    assert found["3"][1] - found["3"][0] == 60.0
    far = result.transfers.filter(pl.col("source") != pl.col("destination"))
    assert far.select("job_id", "file", "bytes").rows() == [("1", "in.1", 1e6)]
    notes = " ".join(scenario.notes)
    assert "simple.so is not run" in notes
    assert "1 jobs have input bytes but name no files" in notes
    assert "1 files are at no site" in notes
    assert "not used: policy" in notes


def test_the_first_jobs_of_a_config(tmp_path: Path) -> None:
    scenario = load(cgsim(tmp_path, custom={"Num_of_Jobs": "2"}))
    assert scenario.jobs.collect()["job_id"].to_list() == ["1", "2"]
    origin = scenario.jobs.provenance
    assert origin.dropped["after the first Num_of_Jobs"] == 1
    assert origin.to_json()["rows_kept"] == len(scenario.work) == 2


def test_files_that_are_nowhere_come_from_the_origin(tmp_path: Path) -> None:
    result = run(load(cgsim(tmp_path), origin=["A"]), broker="recorded", policy="fcfs")
    far = result.transfers.filter(pl.col("source") == "A", pl.col("destination") == "B")
    assert far["file"].to_list() == ["in.2"]


def test_a_workload_of_batsim_on_its_machine(tmp_path: Path) -> None:
    scenario = load(put(tmp_path, w=BATSIM))
    assert scenario.simulator == "batsim"
    assert scenario.platform.cores.tolist() == [4]
    result = run(scenario, policy="fcfs")
    assert result.outcomes == {"finished": 3, "walltime": 1, "no_site": 1}
    assert times(result) == {
        "a": (0.0, 10.0),
        "b": (10.0, 20.0),
        "c": (10.0, 14.0),
        "d": (20.0, 30.0),
        "w": (None, None),
    }


def test_work_and_storages_of_batsim_need_a_platform(tmp_path: Path) -> None:
    work = {"type": "parallel_homogeneous", "cpu": 4e9, "com": 0}
    read = {"type": "data_staging", "nb_bytes": 1000000, "from": "S", "to": "W"}
    profiles = {"work": work, "read": read, "ten": {"type": "composed", "seq": ["read", "work"]}}
    path = put(tmp_path, w=BATSIM | {"profiles": profiles})
    with pytest.raises(InputError, match=r"5 jobs are given as work, but site 'machine' has no"):
        load(path)
    scenario = load(path, platform=put(tmp_path, p_xml=XML.replace('core="1"', 'core="4"')))
    start, end = times(run(scenario, policy="fcfs"))["a"]
    assert (start, end) == (0.0, pytest.approx(4 + MOVED, abs=0.01))
    plain = load(path, platform=Platform((Site.of("one", 8, 1e9),)))
    assert times(run(plain, policy="fcfs"))["a"] == (0.0, 4.0)
    assert "nb_res is 4; the platform has 8 cores." in plain.notes
    assert "5 jobs read or write, which nothing is moved for: there is no link." in plain.notes


def test_a_workflow_on_its_machines(tmp_path: Path) -> None:
    scenario = load(put(tmp_path, f=flow(cpu={"coreCount": 1})))
    assert scenario.simulator == "wfformat"
    result = run(scenario, policy="fcfs")
    ends = {name: end for name, (_, end) in times(result).items()}
    assert ends == {"one": 1.0, "two": 3.0, "three": 6.0, "end": 10.0}
    assert "3 files are not moved: the platform has no links." in scenario.notes
    for machine, message in (({}, "names no machines"), ({"system": "linux"}, "no coreCount")):
        with pytest.raises(InputError, match=message):
            load(put(tmp_path, f=flow(**machine)))


def test_a_workflow_on_a_platform_moves_its_files(tmp_path: Path) -> None:
    grid = Platform((Site.of("A", 2), Site("S")), (Link("l", 1e6, 0.0, ends=("A", "S")),))
    path = put(tmp_path, f=flow())
    scenario = load(path, platform=grid, origin="S")
    result = run(scenario)
    assert result.outcomes == {"finished": 4}
    assert times(result)["one"][1] == pytest.approx(1 + MOVED, abs=0.01)
    assert result.summary()["moved_bytes"] == 1e6
    assert "3 files are not moved: no origin is given." in load(path, platform=grid).notes
    for origin, message in ((["A", "S"], "one place of its files"), ("moon", "'moon'")):
        with pytest.raises(InputError, match=message):
            load(path, platform=grid, origin=origin)


def test_workloads_of_dcsim_on_their_platform(tmp_path: Path) -> None:
    scenario = dcsim(tmp_path)
    assert scenario.simulator == "dcsim"
    result = run(scenario, policy="fcfs")
    assert result.outcomes == {"finished": 3}
    found = times(result)
    assert found["job_soon_0"] == (1.0, pytest.approx(5.0))
    assert found["job_late_0"] == (5.0, pytest.approx(9 + MOVED, abs=0.01))
    result.save(tmp_path / "run", formats=("dcsim", "cgsim", "cgsim_data", "batsim"))
    jobs, measures = read_results(tmp_path / "run" / "results.csv")
    assert len(jobs) == 3
    rows = {row["job_id"]: row for row in measures.to_dicts()}
    assert rows["job_late_1"]["hit_rate"] == 0.0
    assert rows["job_late_1"]["compute_time"] == pytest.approx(4.0)
    assert rows["job_late_1"]["flops"] == pytest.approx(4e9)
    assert rows["job_late_1"]["stage_in_time"] == pytest.approx(MOVED, abs=0.01)
    assert rows["job_soon_0"]["hit_rate"] is None
    assert rows["job_soon_0"]["stage_in_time"] == 0.0
    assert len(read_batsim_jobs(tmp_path / "run" / "jobs.csv")) == 3
    for name in ("events", "events_data"):
        assert len(read_events(tmp_path / "run" / f"{name}.sqlite")) == 3


def test_streams_of_dcsim_overlap_with_their_payload(tmp_path: Path) -> None:
    path = put(
        tmp_path,
        p_xml=XML,
        d=DATASETS,
        w={"late": WORKLOADS["late"] | {"workload_type": "streaming"}},
    )
    streamed = load(path, datasets=tmp_path / "d.json", workloads=tmp_path / "w.json")
    first = times(run(streamed, rules=Rules(block=1e5)))["job_late_0"]
    copied = times(run(dcsim(tmp_path), policy="fcfs"))["job_late_0"]
    assert 4.0 <= first[1] - first[0] < copied[1] - copied[0]


def test_locations_are_hosts_of_a_site_or_its_disks(tmp_path: Path) -> None:
    star = """<zone id="Disks" routing="Star">
  <host id="s1" speed="1Gf"><prop id="type" value="storage"/>
   <disk id="e" read_bw="1GBps" write_bw="1GBps"/></host>
  <host id="s2" speed="1Gf"><prop id="type" value="storage"/>
   <disk id="d" read_bw="1GBps" write_bw="1GBps"/></host>
  <link id="l" bandwidth="1MBps" latency="0s"/>
  <route src="s1"><link_ctn id="l"/></route><route src="s2"><link_ctn id="l"/></route>
  <router id="gw"/></zone>"""
    text = f"""<platform version="4.1"><zone id="z" routing="Full">
 <zone id="Work" routing="None"><host id="W" speed="1Gf" core="1"/></zone>{star}
 <link id="wan" bandwidth="1MBps" latency="0s"/>
 <zoneRoute src="Work" dst="Disks" gw_src="W" gw_dst="gw"><link_ctn id="wan"/></zoneRoute>
</zone></platform>"""
    for place in ("Disks", "s1", "s2", "d"):
        sets = {"raw": DATASETS["raw"] | {"location": place}}
        path = put(tmp_path, p_xml=text, d=sets, w={"late": WORKLOADS["late"]})
        found = load(path, datasets=tmp_path / "d.json", workloads=tmp_path / "w.json")
        result = run(found, policy="fcfs")
        assert result.outcomes == {"finished": 2}
        assert set(result.transfers.filter(kind="stage_in")["source"]) == {"Disks"}
    sets = {"raw": DATASETS["raw"] | {"location": "zone"}}
    put(tmp_path, d=sets)
    with pytest.raises(InputError, match="location 'zone' is no site"):
        load(path, datasets=tmp_path / "d.json", workloads=tmp_path / "w.json")


def test_the_seed_alone_decides_what_is_drawn(tmp_path: Path) -> None:
    wide = WORKLOADS["soon"] | {"flops": {"type": "gaussian", "average": 4e9, "sigma": 1e9}}
    path = put(tmp_path, p_xml=XML, w={"soon": wide})
    drawn = [
        float(load(path, workloads=tmp_path / "w.json", seed=seed).work.flop[0])  # type: ignore[index]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_is_no_scenario_is_named(tmp_path: Path) -> None:
    cgsim(tmp_path)
    put(tmp_path, p_xml=XML, d=DATASETS, w=WORKLOADS, b=BATSIM)
    for name, message in (
        ("sites.json", r"holds the sites of CGSim, not a scenario"),
        ("p.xml", r"platform of SimGrid, not a scenario; with a workload JSON of DCSim"),
        ("d.json", r"a JSON document of no known form"),
        ("none.json", r"there is no such file"),
    ):
        with pytest.raises(FormatError, match=message):
            load(tmp_path / name)
    wrong: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("p.xml", {"datasets": "d.json"}, "datasets are given without workloads"),
        ("p.xml", {"workloads": "w.json", "platform": "x"}, "leave the other platform out"),
        ("config.json", {"platform": "p.xml"}, "names its platform"),
        ("b.json", {"origin": ["machine"]}, "name the storages they read"),
    )
    for name, options, message in wrong:
        with pytest.raises(InputError, match=message):
            load(tmp_path / name, **options)


def test_missing_files_and_places_are_named(tmp_path: Path) -> None:
    path = cgsim(tmp_path)
    (tmp_path / "jobs.csv").unlink()
    with pytest.raises(FormatError, match=r"config.json.*there is no file '/nowhere/jobs.csv'"):
        load(path)
    path.write_text(json.dumps(CONFIG | {"Custom_Parameters": {}}))
    with pytest.raises(FormatError, match="jobs_file is missing"):
        load(path)
    astray = {"raw": DATASETS["raw"] | {"location": ["Moon"]}}
    with pytest.raises(InputError, match="location 'Moon' is no site, host or storage"):
        load(
            put(tmp_path, p_xml=XML, d=astray, w=WORKLOADS),
            datasets=tmp_path / "d.json",
            workloads=tmp_path / "w.json",
        )
    unread = {"raw": DATASETS["raw"], "other": astray["raw"]}  # which no workload reads
    put(tmp_path, d=unread)
    load(tmp_path / "p.xml", datasets=tmp_path / "d.json", workloads=tmp_path / "w.json")
    with pytest.raises(FormatError, match="the data set raw, which is not there"):
        load(tmp_path / "p.xml", workloads=tmp_path / "w.json")


def test_the_public_config_is_run_whole(data_dir: Path) -> None:
    scenario = load(data_dir / "rubin_synth" / "rubin_config.json")
    result = run(scenario, broker="recorded")
    assert result.outcomes == {"finished": 1000}
    assert result.complete
    own = dict(scenario.jobs.collect().select("job_id", "site").iter_rows())
    assert dict(result.jobs.collect().select("job_id", "site").iter_rows()) == own
    # each file is at one site and read by one job: what lies elsewhere is moved once
    held = {
        name: site.name
        for site in scenario.platform.sites
        for storage in site.storages
        for name, _ in storage.files
    }
    work = scenario.work
    assert work.files is not None
    assert work.files.names is not None
    assert work.input_ptr is not None
    assert work.input_file is not None
    assert sorted(work.input_file.tolist()) == list(range(len(held)))
    at = scenario.jobs.collect()["site"].to_list()
    reader = np.repeat(at, np.diff(work.input_ptr))
    names = [work.files.names[k] for k in work.input_file]
    far = [held[name] != site for name, site in zip(names, reader, strict=True)]
    moved = work.files.bytes[work.input_file][far].sum()
    assert result.summary()["moved_bytes"] == pytest.approx(moved, rel=1e-12)


@pytest.mark.parametrize(
    ("sites", "jobs", "count"),
    [("toy", "toy_job.csv", 20), ("mimic", "mimic_job.csv.gz", 966)],
)
def test_the_public_jobs_are_run_whole(
    data_dir: Path, tmp_path: Path, sites: str, jobs: str, count: int
) -> None:
    folder = data_dir / "sites"
    config = CONFIG | {
        "Sites_Information": str(next(folder.glob(f"{sites}_new_site_info.json*"))),
        "Sites_Connection_Information": str(folder / f"{sites}_new_site_conn_info.json"),
        "Custom_Parameters": {"jobs_file": str(data_dir / "panda" / jobs)},
    }
    result = run(load(put(tmp_path, config=config)), broker="recorded", policy="fcfs")
    assert result.complete
    assert result.outcomes == {"finished": count}
    assert result.summary()["moved_bytes"] > 0


def test_the_public_workloads_are_run_whole(data_dir: Path) -> None:
    folder = data_dir / "sites" / "dcsim"
    result = run(
        load(
            folder / "data_platform-files_sgbatch.xml",
            datasets=folder / "data_dataset-configs_crown_ttbar_testjob.json",
            workloads=folder / "data_workload-configs_crown_ttbar_testjob.json",
        )
    )
    assert result.outcomes == {"finished": 1}
    assert (
        result.summary()["moved_bytes"]
        == result.transfers.filter(pl.col("source") == "RemoteStorage")["bytes"].sum()
    )
