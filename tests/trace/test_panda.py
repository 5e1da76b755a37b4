"""Selecting user analysis, the table of features and the named workloads."""

import polars as pl
import pytest

from gridtwin.core.errors import SchemaError, UnknownNameError
from gridtwin.trace import JobTable, panda

LABELS = {
    "user": {},
    "unified": {"computingsite": "BNL"},
    "group": {"workinggroup": "phys-higgs", "gshare": "Group Analysis"},
    "newer": {"prodsourcelabel": "", "job_label": "user"},
    "client": {"prodsourcelabel": "", "processingtype": "panda-client-1.6-jedi-athena"},
    "build": {"prodsourcelabel": "panda", "transformation": "trf/user/buildGen-00-00-01"},
    "build too": {"transformation": "trf/user/buildGen-00-00-01"},
    "merge": {"processingtype": "pmerge"},
    "hammercloud": {"processingtype": "gangarobot-rctest", "computingsite": "ANALY_BNL_VP"},
    "pilot test": {"prodsourcelabel": "rc_test2"},
    "production": {"prodsourcelabel": "managed", "processingtype": "deriv"},
    "on analysis queue": {"prodsourcelabel": "managed", "computingsite": "ANALY_BNL_VP"},
    "newer production": {"prodsourcelabel": "", "job_label": "managed", "processingtype": "simul"},
    "no label": {"prodsourcelabel": "", "processingtype": ""},
}
ACTIVITY = dict.fromkeys(("user", "unified", "group", "newer", "client"), "user")
ACTIVITY |= {"build": "build", "build too": "build", "merge": "merge"}
ACTIVITY |= {"hammercloud": "test", "pilot test": "test", "no label": None}
ACTIVITY |= dict.fromkeys(("production", "on analysis queue", "newer production"), "production")


def test_activity_is_what_the_labels_say_never_the_queue(rows):
    jobs = rows(*LABELS.values())
    assert dict(zip(LABELS, jobs.collect()["activity"], strict=True)) == ACTIVITY
    assert any("1 jobs have labels of no known activity" in note for note in jobs.provenance.notes)


def test_the_funnel_counts_every_step(rows):
    other = {
        "aod": {"proddblock": "", "inputfileproject": "mc20_13TeV", "inputfiletype": "AOD"},
        "running": {"jobstatus": "running", "endtime": ""},
        "anew": {"jobstatus": "closed", "jobsubstatus": "toreassign"},
        "done": {"jobstatus": "closed", "jobsubstatus": "taskdone"},
        "bad": {"creationtime": "never"},
    }
    jobs, funnel = panda.select(rows(*LABELS.values(), *other.values()))
    steps = funnel.frame()
    assert steps.columns == ["step", "rows_in", "rows_out", "reason"]
    assert dict(steps.select("step", "rows_out").iter_rows()) == {
        "records read": 18,
        "user analysis": 15,
        "known activity": 14,
        "no tests": 12,
        "run jobs": 9,
        "derived data": 8,
        "final state": 7,
        "counted once": 6,
    }
    assert steps["rows_in"].to_list() == [19, *steps["rows_out"].to_list()[:-1]]
    assert "not a time: creationtime: 1" in steps["reason"][0]
    assert len(jobs) == 6
    assert set(jobs.collect()["raw_status"]) == {"finished", "closed:taskdone"}
    assert any("no tests, 14 to 12 jobs" in note for note in jobs.provenance.notes)


def test_what_to_keep_can_be_chosen(rows):
    jobs = rows(*LABELS.values(), {"proddblock": "", "inputfileproject": "", "inputfiletype": ""})
    kept = {
        "all": len(panda.select(jobs)[0]),
        "any data": len(panda.select(jobs, daod=False)[0]),
        "builds": len(panda.select(jobs, builds=True)[0]),
        "merges": len(panda.select(jobs, merges=True)[0]),
        "users": len(panda.select(jobs, groups=False)[0]),
    }
    assert kept == {"all": 5, "any data": 6, "builds": 7, "merges": 6, "users": 4}


def test_a_step_without_its_column_is_not_taken_and_says_so(jobs):
    chosen, funnel = panda.select(jobs)
    steps = funnel.frame()
    assert len(chosen) == len(jobs)
    told = steps.filter(pl.col("step").is_in(["user analysis", "derived data"]))["reason"]
    assert all(reason.startswith("not applied: the table has no column") for reason in told)


def test_features_are_counted_with_type_and_unique_values(rows):
    jobs = panda.work(
        rows({}, {"computingsite": "CERN"}, {"corecount": "1"}, {"workinggroup": "g"})
    )
    table = panda.features(jobs)
    assert table.columns == ["feature", "type", "unit", "unique", "missing", "jobs"]
    of = {row["feature"]: row for row in table.to_dicts()}
    assert (of["site"]["type"], of["site"]["unique"]) == ("categorical", 2)
    assert (of["cores_req"]["type"], of["cores_req"]["unique"]) == ("numerical", 2)
    assert (of["group"]["unique"], of["group"]["missing"], of["group"]["jobs"]) == (1, 3, 4)
    assert of["error_codes"]["unique"] == 1
    papers = panda.features(jobs, panda.PAPER)["feature"].to_list()
    assert set(papers) == set(panda.PAPER) - {"input_files", "input_bytes"}


def test_core_power_comes_from_record_table_or_default_and_says_which(rows):
    jobs = rows(
        {"computingsite": "BNL", "hs06": "88", "corecount": "8"},
        {"computingsite": "BNL_OPP"},
        {"computingsite": "BNL_VHIMEM"},
        {"computingsite": "NOWHERE"},
    )
    made = panda.work(jobs)
    assert made.collect()["core_power"].to_list() == [11.0, 11.0, 13.0, 10.0]
    (note,) = [note for note in made.provenance.notes if "Workload" in note]
    assert "1 jobs from the record, of 2 from the table of sites" in note
    assert "estimates" in note
    assert "of 1 the default 10 HS23 per core" in note
    own = pl.DataFrame({"queue": ["NOWHERE"], "site": ["NOWHERE"], "hs23_per_core": [20.0]})
    power = panda.work(jobs, sites=own, default=5.0).collect()["core_power"].to_list()
    assert power == [11.0, 5.0, 5.0, 20.0]


def test_work_is_done_again_where_it_is_asked_for_again(rows):
    jobs = rows({"computingsite": "BNL"})
    again = panda.work(panda.work(jobs), "work_paper")
    assert again.collect()["work"].to_list() == [8 * 13.0 * 20000]
    assert again.columns == panda.work(jobs).columns


def test_work_created_anew_elsewhere_counts_once(rows):
    closed = {"jobstatus": "closed", "jobsubstatus": "toreassign"}
    amounts = panda.work(rows(closed, {}), "work_occupancy").collect()["work"].to_list()
    assert amounts == [0.0, 13.0 * 8 * 3600]


def test_work_needs_its_columns_and_a_known_name(jobs):
    with pytest.raises(SchemaError, match="the workload work needs the columns cpu_time"):
        panda.work(jobs)
    with pytest.raises(UnknownNameError, match="did you mean 'work_paper'"):
        panda.work(jobs, "work_papr")


def chained(parents):
    """Return a table with these parents by job id, in order of submission."""
    frame = {
        "job_id": list(parents),
        "parent_id": list(parents.values()),
        "submit_time": [float(i) for i in range(len(parents))],
        "status": ["failed"] * (len(parents) - 1) + ["finished"],
    }
    return JobTable.from_frame(pl.DataFrame(frame))


def test_chains_of_any_length_forked_and_cut_off():
    long = {str(i): str(i - 1) if i else None for i in range(50)}
    chains = panda.retries(chained(long)).to_dicts()
    assert [(c["chain"], c["attempts"], c["last_status"]) for c in chains] == [
        ("0", 50, "finished")
    ]
    assert chains[0]["span"] == 49
    cut = panda.retries(chained({"b": "gone", "c": "b", "d": "gone"})).to_dicts()
    assert [(c["chain"], c["whole"], c["attempts"], c["last_job"]) for c in cut] == [
        ("gone", False, 3, "d")
    ]


def test_chains_that_bite_their_tail_end(jobs):
    ring = {"a": "b", "b": "c", "c": "a", "d": "a", "e": "e", "f": "e"}
    chains = panda.retries(chained(ring)).to_dicts()
    assert [(c["chain"], c["attempts"]) for c in chains] == [("a", 4), ("e", 2)]
    with pytest.raises(SchemaError, match="parent_id"):
        panda.retries(jobs)
