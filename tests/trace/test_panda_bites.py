"""The ten things that bite an importer of PanDA records, one after another."""

import datetime

import polars as pl
import pytest

from gridtwin.trace import panda, tables
from gridtwin.trace.readers import read


def at(text):
    """Return UTC seconds of a time in March 2024, as ``4 11:00``."""
    day, clock = text.split()
    hour, minute = map(int, clock.split(":"))
    moment = datetime.datetime(2024, 3, int(day), hour, minute, tzinfo=datetime.UTC)
    return moment.timestamp()


CREATED, STARTED, ENDED = (f"2024-03-04 {hour}:00:00" for hour in (10, 11, 12))
COLUMNS = tables.panda_columns()["column"].to_list()
WORKS = ("work", "work_occupancy", "work_paper")


def only(jobs):
    (row,) = jobs.collect().to_dicts()
    return row


def notes(jobs):
    return " ".join(jobs.provenance.notes)


def test_1_a_queue_is_no_site(rows):
    queues = ["ANALY_BNL_VP", "BNL", "BNL_OPP", "SOMEWHERE_NEW"]
    jobs = rows(*({"computingsite": queue} for queue in queues))
    frame = jobs.collect()
    assert frame["queue"].to_list() == queues
    assert frame["site"].to_list() == ["BNL", "BNL", "BNL", "SOMEWHERE_NEW"]
    assert "1 of 4 queues (1 jobs) are not in the map" in notes(jobs)


def test_1_the_map_can_be_edited(rows, tmp_path):
    own = tmp_path / "map.csv"
    own.write_text("queue,site\nSOMEWHERE_NEW,Elsewhere\n")
    jobs = rows({"computingsite": "SOMEWHERE_NEW"}, {"computingsite": "CERN-T0"}, queue_map=own)
    assert jobs.collect()["site"].to_list() == ["Elsewhere", "CERN"]
    assert "not in the map" not in notes(jobs)


def test_2_cpu_time_is_summed_over_cores_already(rows):
    change = {"corecount": "8", "cpuconsumptiontime": "5886"}
    change |= {"starttime": "2024-03-04 11:00:00", "endtime": "2024-03-04 11:20:09"}
    jobs = rows(change | {"computingsite": "NOWHERE"})
    amount = {name: only(panda.work(jobs, name))["work"] for name in WORKS}
    assert amount == {"work": 58_860.0, "work_occupancy": 96_720.0, "work_paper": 470_880.0}


def test_3_hs06sec_is_wall_time_by_cores_by_power(rows):
    power = 12.5
    wall = {"corecount": "8", "hs06sec": str(int(3600 * 8 * power)), "cpuconsumptiontime": "9000"}
    jobs = rows(wall, wall | {"hs06sec": "999999999"}, wall | {"hs06": "80", "hs06sec": ""})
    assert jobs.collect()["core_power"].to_list() == [power, None, 10.0]
    frame = panda.work(jobs, "work_occupancy").collect()
    assert frame["work"][0] == int(wall["hs06sec"])
    assert panda.work(jobs).collect()["work"][0] == 9000 * power


def test_4_job_walltime_is_core_seconds(rows):
    wall = {"job_walltime": str(3600 * 8 + 40), "cpu_eff": "0.7"}  # seconds that times don't have
    wrong = {"job_walltime": "3600"}  # a wall time, not core seconds
    frame = rows(wall, wrong, {}).collect()
    assert frame["run_time"].to_list() == [3605.0, 3600.0, 3600.0]
    assert "1 jobs have a job_walltime that is not cores x (end - start)" in notes(rows(wrong))


def test_5_without_a_start_it_never_ran(rows):
    jobs = rows({"jobstatus": "closed", "starttime": "", "endtime": ""}, {})
    job = jobs.collect().row(0, named=True)
    assert (job["start_time"], job["run_time"], job["wait_time"]) == (None, None, None)
    assert job["end_time"] == at("4 12:05")
    assert "1 jobs never ran" in notes(jobs)
    assert panda.work(jobs).collect()["work"].to_list() == [0, 20000 * 13.0]


def test_5_an_end_that_is_missing_is_the_last_change_of_state(rows):
    jobs = rows(
        {"endtime": ""},
        {"endtime": "", "statechangetime": ""},
        {"endtime": "", "statechangetime": "1970-01-01 00:00:00"},
        {"endtime": "", "jobstatus": "running"},
        {"endtime": "", "statechangetime": "2024-03-04 10:30:00"},  # before the start: no end
    )
    frame = jobs.collect()
    ends = [at("4 12:05"), at("4 12:10"), at("4 12:10"), None, at("4 12:10")]
    assert frame["end_time"].to_list() == ends
    assert frame["run_time"][0] == 3900.0
    assert "4 jobs have no end time though they ended" in notes(jobs)


def test_5_killed_in_starting_has_no_wall_time(rows):
    jobs = rows({"jobstatus": "cancelled", "endtime": STARTED})
    assert only(jobs)["run_time"] == 0
    assert "1 jobs end when they start" in notes(jobs)


def test_6_a_lost_heartbeat_makes_the_run_time_short(rows):
    jobs = rows({"jobstatus": "failed", "jobdispatchererrorcode": "100"}, {})
    assert "1 jobs lost their heartbeat: their run time may be up to 2 h short." in notes(jobs)


def test_7_cores_wanted_and_cores_used(rows):
    jobs = rows(
        {"corecount": ""},
        {"corecount": "0"},
        {"corecount": "8", "actualcorecount": "4"},
        {"corecount": "8", "jobmetrics": "nEvents=100 actualCoreCount=6 leak=0.1"},
        {"corecount": "8", "jobmetrics": "coreCount=2"},
        {"corecount": "8", "actualcorecount": "4", "jobmetrics": "coreCount=2"},
        {"corecount": "8", "actualcorecount": "0", "jobmetrics": "xcoreCount=2"},
    )
    frame = jobs.collect()
    assert frame["cores_req"].to_list() == [1, 1, 8, 8, 8, 8, 8]
    assert frame["cores_alloc"].to_list() == [1, 1, 4, 6, 2, 4, 8]
    assert "2 jobs have no core count: 1 core is meant." in notes(jobs)


def test_8_eight_columns_of_errors(rows):
    columns = {
        "piloterrorcode": "1099",
        "exeerrorcode": "65.0",
        "transexitcode": "137",
        "ddmerrorcode": "100",
        "jobdispatchererrorcode": "100",
        "taskbuffererrorcode": "300",
        "superrorcode": "1000",
        "brokerageerrorcode": "",
    }
    jobs = rows(
        columns | {"jobstatus": "failed"}, {"transexitcode": "NULL"}, {"transexitcode": "x"}
    )
    words = jobs.collect()["error_codes"].to_list()
    assert words[0] == [
        "pilot:1099",
        "exe:65",
        "transexit:137",
        "ddm:100",
        "jobdispatcher:100",
        "taskbuffer:300",
        "sup:1000",
    ]
    assert words[1:] == [[], []]
    assert "1 jobs have an error code that is no whole number" in notes(jobs)
    known = set(tables.error_codes()["word"])
    assert set(words[0]) - known == {"exe:65"}  # exe has the codes of transexit


def test_9_a_retry_is_a_new_job(rows):
    first, second, third = "6500000001", "6500000002", "6500000003"
    jobs = rows(
        {"pandaid": first, "jobstatus": "failed"},
        {"pandaid": second, "parentid": first, "jobstatus": "failed", "attemptnr": "2"},
        {"pandaid": third, "parentid": second, "creationtime": "2024-03-04 10:30:00"},
        {"pandaid": "6500000009", "parentid": "0"},
    )
    chains = panda.retries(jobs).sort("chain")
    assert chains["attempts"].to_list() == [3, 1]
    assert chains["last_job"].to_list() == [third, "6500000009"]
    assert chains["last_status"].to_list() == ["finished", "finished"]
    assert chains["first_status"].to_list() == ["failed", "finished"]
    assert len(panda.last_attempts(jobs)) == 2


def test_10_times_are_utc_and_1970_is_never(rows):
    jobs = rows(
        {
            "starttime": "1970-01-01 00:00:00",
            "endtime": "1970-01-01 00:00:00",
            "jobstatus": "closed",
        },
        {"creationtime": "2024-03-04 10:00:00.5", "endtime": "2024-03-04T13:00:00+01:00"},
    )
    frame = jobs.collect()
    assert frame["start_time"].to_list() == [None, at("4 11:00")]
    assert frame["submit_time"].to_list() == [at("4 10:00"), at("4 10:00") + 0.5]
    assert frame["end_time"][1] == at("4 12:00")
    assert "1 jobs have a time of 1970 in starttime" in notes(jobs)


def test_10_names_are_replaced_and_ids_are_text(rows, tmp_path):
    jobs = rows({"jobname": "user.jdoe.run_by_JDoe.v3/.65", "jeditaskid": ""})
    row = only(jobs)
    assert row["user"].startswith("u")
    assert row["task_id"].startswith("user.u")
    text = str(jobs.collect().to_dicts()).casefold()
    assert not any(name in text for name in ("jdoe", "jane", "doe"))
    assert "keyed hashes" in notes(jobs)
    genid = tmp_path / "djc.csv"
    genid.write_text(
        "JOB_NAME,QUEUED_TIMESTAMP,START_TIMESTAMP,END_TIMESTAMP,USERNAME_GENID,QUEUE_NAME,"
        "WALLTIME_SECONDS,RUNTIME_SECONDS,NODES_USED,NODES_REQUESTED,EXIT_STATUS\n"
        "1.m,2019-02-12 19:39:06,2019-02-12 19:53:58,2019-02-12 19:55:09,70296312345678,"
        "q,60,60,1,1,0\n"
    )
    assert read(genid).collect()["user"].to_list() == ["70296312345678"]


def test_cpu_time_of_minus_one_is_unknown(rows):
    jobs = rows({"cpuconsumptiontime": "-1"}, {})
    assert jobs.collect()["cpu_time"].to_list() == [None, 20000.0]
    assert "1 jobs have a CPU time of -1" in notes(jobs)


def test_all_columns_in_any_case(archive):
    lower = read(archive({}, {"jobstatus": "failed"}), keep_names=True)
    upper = archive({}, {"jobstatus": "failed"}, name="upper.csv", upper=True)
    assert read(upper, keep_names=True).collect().equals(lower.collect())
    assert len(COLUMNS) == 127


@pytest.mark.parametrize(
    "column", tables.panda_columns().filter(pl.col("field").is_not_null())["column"].to_list()
)
def test_each_column_reaches_its_field(rows, column):
    field = dict(tables.panda_columns().select("column", "field").iter_rows())[column]
    bare = dict.fromkeys(COLUMNS, "") | {"pandaid": "1", "creationtime": CREATED}
    bare |= {"starttime": STARTED, "endtime": ENDED, "jobstatus": "finished"}
    bare |= {"endtime": ""} if field == "end_time" else {}
    bare["computingsite"] = "BNL"
    value = {
        "creationtime": "2024-03-04 09:00:00",
        "starttime": "2024-03-04 11:30:00",
        "computingsite": "CERN",
        "jobstatus": "failed",
        "prodsourcelabel": "managed",
        "job_label": "managed",
        "processingtype": "gangarobot-pft",
        "transformation": "trf/user/buildGen-00-00-01",
        "jobmetrics": "coreCount=4",
        "jobname": "user.someone.text/.12",
        "proddblock": "user.someone.text",
        "jobsubstatus": "toreassign",
        "inputfileproject": "mc20_13TeV",
        "inputfiletype": "DAOD_PHYS",
        "produsername": "some one",
    }.get(column, "2024-03-04 12:30:00" if field == "end_time" else "7")
    label = {"prodsourcelabel": "user"} if column == "transformation" else {}
    before, after = only(rows(bare | label)), only(rows(bare | label | {column: value}))
    assert after.get(field) is not None
    assert before.get(field) != after[field]
