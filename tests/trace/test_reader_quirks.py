"""Every quirk of every format, each on made-up rows of the real shape."""

from pathlib import Path

import polars as pl
import pytest

from gridtwin.trace.readers import read

SAMPLES = Path(__file__).resolve().parents[1] / "data"


def sample(name):
    return read(SAMPLES / name)


def job(jobs, job_id):
    return jobs.collect().row(by_predicate=pl.col("job_id") == job_id, named=True)


def swf(tmp_path, *lines):
    path = tmp_path / "x.swf"
    path.write_text("\n".join(lines) + "\n")
    return read(path)


# --- SWF


def test_swf_header_gives_origin_size_and_names():
    jobs = sample("swf.cluster.swf")
    frame = jobs.collect()
    assert jobs.provenance.machine_cores == 64
    assert frame["submit_time"][0] > 1_000_000_000 + 342_000
    # queue 2 has a blank name: it stays a number
    assert set(frame["queue"]) == {"interactive", "short", "2"}
    assert "site" not in frame.columns  # the one partition of a single machine


def test_swf_size_is_a_number_followed_by_words_when_there_is_no_maxprocs(tmp_path):
    record = "1 0 -1 10 1 -1 -1 1 -1 -1 1 1 -1 -1 0 -1 -1 -1"
    jobs = swf(tmp_path, "; MaxNodes: 338 (batch partition; 512 total)", record)
    assert jobs.provenance.machine_cores == 338


def test_swf_checkpoint_parts_are_dropped_and_the_summary_kept():
    jobs = sample("swf.cluster.swf")
    assert jobs.provenance.dropped == {"checkpoint part (status 2-4)": 2}
    assert job(jobs, "50")["run_time"] == 250


def test_swf_a_job_cancelled_before_its_start_is_kept_with_what_it_asked_for():
    row = job(sample("swf.cluster.swf"), "14")
    assert row["status"] == "cancelled"
    for name in ("run_time", "cores_alloc", "start_time", "end_time", "wait_time"):
        assert row[name] is None
    assert row["cores_req"] > 0


def test_swf_missing_request_falls_back_to_what_was_given():
    row = job(sample("swf.cluster.swf"), "15")
    assert row["cores_req"] == row["cores_alloc"] > 0


def test_swf_no_limit_is_unknown_and_noted():
    jobs = sample("swf.cluster.swf")
    assert job(jobs, "13")["walltime_req"] is None
    assert any("no limit" in note for note in jobs.provenance.notes)


def test_swf_cpu_and_memory_are_of_the_whole_job(tmp_path):
    jobs = swf(tmp_path, "1 0 5 100 4 50.5 2048 8 600 1024 1 1 1 1 1 1 -1 -1")
    row = job(jobs, "1")
    assert (row["cpu_time"], row["mem_used"], row["mem_req"]) == (202.0, 8.0, 8.0)
    assert (row["start_time"], row["end_time"]) == (5.0, 105.0)
    assert (row["cores_req"], row["cores_alloc"]) == (8, 4)


def test_swf_follows_the_preceding_job():
    assert job(sample("swf.cluster.swf"), "16")["parent_id"] == "11"


def test_swf_partitions_of_a_grid_are_its_sites_and_groups_its_vos():
    frame = sample("swf.grid.swf").collect()
    assert set(frame["site"]) == {"alpha.example", "beta.example", "gamma.example"}
    assert frame["vo"].equals(frame["group"])
    assert "wait_time" not in frame.columns
    assert "status" not in frame.columns
    assert frame["cores_req"].to_list() == [1] * 20


def test_swf_of_21_fields_without_a_header():
    jobs = sample("swf.wide.swf")
    row = job(jobs, "0")
    assert row["submit_time"] == 1_400_000_000
    assert row["mem_req"] == 4 * 1024  # 1 GiB for each of 4 processors, in MB
    assert job(jobs, "3")["walltime_req"] is None  # 0 is no request


def test_swf_of_nodes_with_long_ids():
    jobs = sample("swf.nodes.swf")
    assert jobs.provenance.machine_cores == 4360
    assert job(jobs, "1")["user"] == "9260592860757"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("2 5 1 -1360000000 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1", "negative run time"),
        ("2 5 1 x 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1", "not a number: run"),
        ("2 -1 1 5 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1", "no submit time"),
        ("2 5 1 5 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1", "malformed line"),
        ("2 5 1 5 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1 a b c d", "malformed line"),
        ("1 5 1 5 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1", "duplicate job_id"),
    ],
)
def test_swf_bad_records_are_counted(record, reason, tmp_path):
    good = "1 0 1 10 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1"
    jobs = swf(tmp_path, "; UnixStartTime: 100", good, record)
    assert jobs.provenance.dropped == {reason: 1}
    assert len(jobs) == 1


def test_swf_comments_and_blank_lines_between_records_are_no_records(tmp_path):
    good = "{} 0 1 10 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1"
    jobs = swf(tmp_path, good.format(1), "; a remark", "", "  ", good.format(2))
    assert jobs.provenance.rows_read == 2


def test_swf_epoch_submit_times_are_not_shifted_by_the_header(tmp_path):
    record = "1 1400000000 1 10 1 -1 -1 1 60 -1 1 1 1 1 1 1 -1 -1"
    jobs = swf(tmp_path, "; UnixStartTime: 1400000000", record)
    assert jobs.collect()["submit_time"][0] == 1_400_000_000


def test_swf_of_a_header_alone_has_no_jobs_and_tells_nothing_of_their_times(tmp_path):
    path = tmp_path / "x.swf"
    path.write_text("; Version: 2.2\n; UnixStartTime: 1000000000\n")
    jobs = read(path)
    assert len(jobs) == 0
    assert not any("Submit times" in note for note in jobs.provenance.notes)


def test_swf_queue_0_everywhere_without_a_name_says_nothing(tmp_path):
    jobs = swf(tmp_path, "1 0 -1 10 1 -1 -1 -1 -1 -1 1 -1 -1 -1 0 -1 -1 -1")
    assert "queue" not in jobs


# --- LUMOS


def test_lumos_unknown_users_are_null_and_hashes_whole():
    frame = sample("lumos.theta.csv").collect()
    users = frame["user"].drop_nulls().unique().to_list()
    assert frame["user"].null_count() > 0
    assert set(users) <= {"24166353244411", "35012304659472"}
    assert "group" not in frame.columns  # project repeats user


def test_lumos_times_and_status():
    frame = sample("lumos.theta.csv").collect()
    assert (frame["start_time"] - frame["submit_time"]).equals(
        frame["wait_time"], check_names=False
    )
    status = dict(frame.select("raw_status", "status").unique().rows())
    assert status == {"Pass": "finished", "Failed": "failed", "Killed": "cancelled"}
    assert "gpus_req" not in frame.columns


def test_lumos_exit_codes_are_kept():
    frame = sample("lumos.mira.csv").collect().filter(pl.col("status") == "cancelled")
    assert set(frame["raw_status"]) == {"Killed:1143"}
    assert frame["error_codes"].to_list()[0] == ["exit:1143"]


def test_lumos_gpus_are_not_read_as_nodes_or_cores():
    frame = sample("lumos.thetagpu.csv").collect()
    assert frame["gpus_req"].min() > 0
    assert not {"nodes_req", "cores_req"} & set(frame.columns)


def test_lumos_short_and_poster_forms():
    assert set(sample("lumos.philly.csv").collect().columns) == {
        *("job_id", "submit_time", "start_time", "end_time", "gpus_req", "run_time", "wait_time")
    }
    frame = sample("lumos.poster.csv").collect()
    assert {"user", "cores_req", "walltime_req", "status"} <= set(frame.columns)
    assert frame["job_id"].to_list()[:2] == ["1", "2"]


def test_ids_broken_by_a_spreadsheet_are_whole_numbers_but_names_stay_names(tmp_path):
    path = tmp_path / "x.csv"
    head = "job,user,gpu_num,submit_time,wait_time,run_time\n"
    path.write_text(head + "1,7.02963E+13,1,5,1,1\n2,12e4,1,5,1,1\n3,0042,1,5,1,1\n")
    assert read(path).collect()["user"].to_list() == ["70296300000000", "12e4", "0042"]


# --- ALCF


def test_alcf_is_bound_by_column_name():
    frame = sample("alcf.composite.csv").collect()
    row = frame.row(0, named=True)
    assert row["job_id"] == "700"
    assert row["user"].startswith("70296312345")
    assert 1_550_000_000 <= row["submit_time"] < 1_550_003_000
    assert row["start_time"] - row["submit_time"] == pytest.approx(row["wait_time"])
    assert row["submit_time"] <= row["eligible_time"] <= row["start_time"]
    assert row["cores_req"] == 64 * row["nodes_req"]
    assert row["site"] == "made-up"


def test_alcf_status_is_that_of_exit_status_else_exit_code():
    frame = sample("alcf.composite.csv").collect()
    failed = frame.filter(pl.col("status") == "failed")
    assert set(failed["raw_status"]) == {"1"}
    assert failed["error_codes"].to_list()[0] == ["exit:143"]
    newer = sample("alcf.newer.csv").collect()
    assert set(zip(newer["status"], newer["raw_status"], strict=True)) == {
        *(("finished", "0"), ("failed", "265"))
    }
    assert newer["job_id"][0] == "900.newer"
    assert newer["gpus_req"].to_list() == [16] * 20


# --- Slurm


def test_sacct_steps_are_counted_and_their_memory_kept():
    jobs = sample("slurm.sacct.txt")
    assert jobs.provenance.dropped == {"job step (its job is a row of its own)": 10}
    assert job(jobs, "103")["mem_used"] == 4.0


def test_sacct_durations_limits_and_memory():
    row = job(sample("slurm.sacct.txt"), "103")
    assert (row["walltime_req"], row["cpu_time"], row["mem_req"]) == (3600.0, 210.5, 16000.0)
    waiting = job(sample("slurm.sacct.txt"), "205")
    assert waiting["walltime_req"] == 93784.0  # 1-02:03:04
    assert waiting["mem_req"] == 2 * 1024**2  # ReqMem 0: the 2T of ReqTRES
    assert (waiting["status"], waiting["start_time"]) == ("queued", None)


def test_sacct_cancelled_running_and_unlimited():
    jobs = sample("slurm.sacct.txt")
    row = job(jobs, "203")
    assert (row["status"], row["raw_status"]) == ("cancelled", "CANCELLED by 1002")
    assert (row["task_id"], row["gpus_req"], row["mem_req"]) == ("200", 2, 16384.0)
    assert (row["run_time"], row["start_time"], row["walltime_req"]) == (None, None, None)
    row = job(jobs, "204")
    assert (row["status"], row["run_time"], row["end_time"]) == ("running", None, None)
    assert (row["gpus_req"], row["nodes_req"], row["mem_req"]) == (3, 2, 1536.0)


def test_sacct_a_requeued_job_is_another_attempt():
    jobs = sample("slurm.sacct.txt")
    assert (job(jobs, "206")["attempt"], job(jobs, "206#1")["attempt"]) == (0, 1)
    assert job(jobs, "206#1")["cpu_time"] == 86400.0


def test_sacct_exit_codes_and_signals():
    jobs = sample("slurm.sacct.txt")
    assert job(jobs, "101")["error_codes"] == ["exit:2"]
    assert job(jobs, "102")["error_codes"] == ["signal:15"]
    assert job(jobs, "100")["error_codes"] == []


def test_sacct_of_parsable_with_its_last_bar(tmp_path):
    path = tmp_path / "s.txt"
    path.write_text("JobID|State|Submit|\n1|COMPLETED|2024-01-01T00:00:00|\n2|bad|\n")
    jobs = read(path)
    assert (jobs.provenance.format, len(jobs)) == ("slurm", 1)
    assert jobs.provenance.dropped == {"malformed line": 1}


def test_slurm_table_rounded_ids_are_replaced_by_row_numbers():
    frame = sample("slurm.table.csv").collect()
    assert set(frame["job_id"]) == {str(i) for i in range(1, 21)}
    assert set(frame["user"]) == {"42770100000000", "42770200000000", "42770300000000"}
    assert set(frame["task_id"].drop_nulls()) == {"74939900000000"}


def test_slurm_table_sizes_come_from_tres():
    jobs = sample("slurm.table.csv")
    assert [job(jobs, str(i + 1))["gpus_req"] for i in (0, 1, 7)] == [2, 0, 2]
    assert job(jobs, "1")["mem_req"] == 170000.0
    # no memory in tres_req, and bit 63 set in mem_req: 4000 MB for each of 20 CPUs
    assert job(jobs, "5")["mem_req"] == 80000.0


def test_slurm_table_limits_exit_codes_and_jobs_that_never_started():
    jobs = sample("slurm.table.csv")
    assert job(jobs, "1")["walltime_req"] is None
    assert job(jobs, "2")["walltime_req"] == 43200.0
    assert job(jobs, "2")["error_codes"] == ["exit:1", "derived_exit:1"]
    assert job(jobs, "3")["error_codes"] == ["exit:137", "derived_exit:137"]
    assert job(jobs, "5")["error_codes"] == ["signal:9", "derived_signal:9"]
    row = job(jobs, "11")
    assert (row["start_time"], row["run_time"], row["status"]) == (None, None, "cancelled")


# --- PanDA


def test_panda_20_columns_with_bom_crlf_and_us_dates():
    jobs = read(SAMPLES / "panda.c20.csv", keep_names=True)
    row = job(jobs, "6089452800")
    assert row["submit_time"] == 1706357400.0  # 2024-01-27 12:10 UTC
    assert (row["user"], row["project"], row["prodstep"]) == ("ann0", "mc16_13TeV", "deriv")
    assert row["datatype"] == "DAOD_PHYS"
    assert row["task_id"] == "user.ann0.mc16_13TeV.7000.deriv.DAOD_PHYS.e8351_p4590"
    assert row["input_files"] == 10  # written 10.0


def test_panda_no_core_count_means_one_core():
    frame = sample("panda.c20.csv").collect()
    assert frame["cores_req"].to_list() == [1, 1, 1, 8] * 5


def test_panda_errors_are_words_and_a_closed_job_wrote_nothing():
    jobs = sample("panda.c20.csv")
    assert job(jobs, "6089452800")["error_codes"] == []
    assert job(jobs, "6089452801")["error_codes"] == ["pilot:1099", "exe:65"]
    closed = job(jobs, "6089452802")
    assert (closed["status"], closed["error_codes"]) == ("closed", ["taskbuffer:102"])
    assert closed["output_bytes"] is None


def test_panda_walltime_is_core_seconds():
    frame = sample("panda.c30.csv").collect().drop_nulls("run_time")
    assert len(frame) == 16
    assert frame["run_time"].to_list() == (frame["end_time"] - frame["start_time"]).to_list()
    assert 8 in frame["cores_req"].to_list()
    assert frame["group"].to_list() == ["higgs"] * 16


def test_panda_jobs_that_never_ran_are_kept():
    frame = sample("panda.c30.csv").collect().filter(pl.col("status") == "closed")
    assert len(frame) == 4
    for name in ("start_time", "end_time", "run_time", "wait_time", "output_bytes"):
        assert frame[name].null_count() == 4


def test_panda_31_columns_sum_the_files():
    jobs = sample("panda.c31.csv")
    row = job(jobs, "7676783705")
    assert row["input_bytes"] == 2 * 524288000 + 1  # inputfilebytes is empty there
    assert row["run_time"] == 1209.0  # to the second, though the times have minutes


def test_panda_short_forms():
    frame = sample("panda.rubin.csv").collect()
    assert frame["input_bytes"].to_list() == [100.0 + i for i in range(1, 21)]
    assert frame["input_files"].to_list() == [2] * 20
    derived = sample("panda.derived.csv")
    assert "input_bytes" not in derived
    assert "status" not in derived
    assert any("inout_bytes" in note for note in derived.provenance.notes)


def test_panda_without_any_creation_time_has_no_submit_time(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("pandaid,creationtime,computingsite\n1,0,A\n2,1970-01-01 00:00:00,B\n")
    jobs = read(path)
    assert len(jobs) == 2
    assert "submit_time" not in jobs


def test_panda_bad_dates_and_files_are_not_hidden(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(
        "pandaid,creationtime,computingsite,files_info\n"
        "1,1/27/2024 1:05,A,{not json\n2,27/1/2024 1:05,A,\n3,2024-01-27T01:05:00Z,A,\n"
        "4,2024-01-27 03:05:00+02:00,A,\n5,1706317500,A,\n"
    )
    jobs = read(path)
    assert jobs.provenance.dropped == {"not a time: creationtime": 1}
    assert jobs.collect()["submit_time"].to_list() == [1706317500.0] * 4
    assert any("files_info" in note for note in jobs.provenance.notes)


# --- DIR-LAB


def test_dirlab_submit_is_the_sum_of_intervals(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(
        "u_id,user,gpu_num,cpu_num,node_num,interval,run_time,wall_time,new_status\n"
        "0,1,1,0,1,5,10,0,Pass\n1,1,1,0,1,2.5,-3,0,Pass\n2,1,1,0,1,-7,10,0,Killed\n"
        "3,1,-73,0,1,1,10,0,Pass\n4,1,1,0,1,1,10,0,Failed\n"
    )
    jobs = read(path)
    assert jobs.collect()["submit_time"].to_list() == [5.0, 9.5]
    assert jobs.provenance.dropped == {
        "negative gpus req": 1,
        "negative interval": 1,
        "negative run time": 1,
    }
    assert not {"cores_req", "walltime_req"} & set(jobs.columns)
