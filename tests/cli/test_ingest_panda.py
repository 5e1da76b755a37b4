"""``gridtwin ingest`` of PanDA records: names, queues, selection and workload."""

import json

import pytest

import gridtwin

ROWS = """pandaid,creationtime,starttime,endtime,jobstatus,computingsite,corecount,\
cpuconsumptiontime,prodsourcelabel,processingtype,produsername,inputfiletype
1,2024-03-04 10:00:00,2024-03-04 11:00:00,2024-03-04 12:00:00,finished,BNL_OPP,8,20000,user,\
panda-client-jedi-run,Jane Doe,DAOD_PHYS
2,2024-03-04 10:00:00,2024-03-04 11:00:00,2024-03-04 12:00:00,finished,NEW,1,3000,user,\
gangarobot-pft,Jane Doe,DAOD_PHYS
3,2024-03-04 10:00:00,2024-03-04 11:00:00,2024-03-04 12:00:00,failed,NEW,1,3000,user,\
panda-client-jedi-run,Jane Doe,AOD
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "panda.csv"
    path.write_text(ROWS)
    return path


def test_names_are_hashed_unless_kept(run, source, tmp_path):
    out = tmp_path / "jobs.parquet"
    done = run("ingest", source, "-o", out, "--json")
    assert done.code == 0
    assert b"Jane Doe" not in out.read_bytes()
    assert any("keyed hashes" in note for note in done.json["notes"])
    done = run("ingest", source, "-o", out, "--keep-names", "--json")
    assert any("--keep-names" in note for note in done.json["notes"])
    assert gridtwin.read(out).collect()["user"].unique().to_list() == ["Jane Doe"]


def test_selection_with_its_funnel_and_workload(run, source, tmp_path):
    out, queues = tmp_path / "jobs.parquet", tmp_path / "map.csv"
    queues.write_text("queue,site\nNEW,Here\n")
    options = ("--select", "user", "--workload", "work_paper", "--queue-map", queues)
    done = run("ingest", source, "-o", out, *options, "--json")
    assert done.json["funnel"][0]["rows_out"] == 3
    frame = gridtwin.read(out).collect()
    assert frame["site"].to_list() == ["BNL", "Here"]
    assert frame["work"].to_list() == [8 * 11.0 * 20000, 10.0 * 3000]
    stored = json.loads((tmp_path / "jobs.parquet.json").read_text())
    assert any("no tests, 3 to 2 jobs" in note for note in stored["provenance"]["notes"])


def test_the_funnel_for_people(run, source, tmp_path):
    done = run("ingest", source, "-o", tmp_path / "jobs.csv", "--select", "daod")
    assert done.code == 0
    assert "HammerCloud" in done.out
    assert "derived data" in done.out


def test_a_map_of_queues_for_records_without_any(run, trace, tmp_path):
    done = run("ingest", trace, "-o", tmp_path / "o.csv", "--queue-map", trace)
    assert done.code != 0
    assert "only records of a grid have a map of queues" in done.err


def test_files_are_converted_by_several_workers_alike(run, source, tmp_path, monkeypatch):
    monkeypatch.setenv("GRIDTWIN_KEY", "a key for tests")
    folder = tmp_path / "days"
    folder.mkdir()
    source.rename(folder / "1.csv")
    (folder / "2.csv").write_text(ROWS.replace("\n1,", "\n4,"))
    outputs = []
    for workers in (1, 2):
        done = run("ingest", folder, "-o", tmp_path / "o.parquet", "--workers", workers)
        assert done.code == 0
        outputs.append((tmp_path / "o.parquet").read_bytes())
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("more", [(), ("--select", "user")])
def test_the_source_is_not_overwritten(run, source, more):
    done = run("ingest", source, "-o", source, *more)
    assert done.code == 1
    assert "would overwrite what is read" in done.err
    assert source.read_text() == ROWS
