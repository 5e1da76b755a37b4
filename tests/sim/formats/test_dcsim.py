import copy
import json
from contextlib import suppress

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.formats._distributions import Gaussian, Histogram, Poisson
from gridtwin.sim.formats.dcsim import (
    read_datasets,
    read_workloads,
    write_datasets,
    write_workloads,
)
from gridtwin.sim.formats.dcsim_draw import draw
from gridtwin.sim.formats.dcsim_results import MEASURES, read_results, write_results
from gridtwin.sim.units import FLOPS_PER_HS23

FIXED = {"type": "gaussian", "average": 1e9, "sigma": 0}
WORKLOADS = {
    "ana": {
        "num_jobs": 3,
        "cores": {"type": "histogram", "counts": [0, 3, 1], "bins": [-0.5, 0.5, 1.5, 2.5]},
        "flops": {"type": "histogram", "counts": [1, 0, 3], "bins": [0, 1e12, 2e12, 3e12]},
        "memory": {"type": "gaussian", "average": 2400, "sigma": 100},
        "outfilesize": FIXED,
        "workload_type": "streaming",
        "submission_time": 10.5,
        "infile_datasets": ["raw", "aod"],
    },
    "mc": {
        "num_jobs": 4,
        "cores": {"type": "poisson", "mu": 2},
        "flops": {"type": "gaussian", "average": 5e12, "sigma": 0},
        "memory": {"type": "gaussian", "average": 2e9, "sigma": 0},
        "outfilesize": FIXED,
        "workload_type": "calculation",
        "submission_time": 0,
    },
    "old": {
        "num_jobs": 2,
        "infiles_per_job": 2,
        "infilesize": FIXED,
        "cores": {"type": "histogram", "counts": [0, 1]},
        "flops": FIXED,
        "memory": FIXED,
        "outfilesize": FIXED,
        "workload_type": "Copy",
        "submission_time": 1,
    },
}
DATASETS = {
    "raw": {"location": ["T1", "T2"], "num_files": 5, "filesize": FIXED},
    "aod": {"location": "T2", "num_files": 2, "filesize": FIXED | {"average": 2e9}},
}
RESULT = (
    "job.tag, machine.name, hitrate, job.start, job.end, job.computetime, job.flops, "
    "infiles.transfertime, infiles.size, outfiles.transfertime, outfiles.size\n"
    "job_a_0, wn1, 0.5, 10.000000, 20.000000, 7.000000, 4.0, 2.0, 100.0, 1.0, 10.0\n"
    "job_a_1, wn2, -1, 10.000000, 30.000000, 20.000000, 4.0, 0.0, 0.0, 0.0, 10.0\n"
)


@pytest.fixture
def read(tmp_path):
    def at(document, reader=read_workloads):
        file = tmp_path / "document.json"
        file.write_text(json.dumps(document))
        return reader(file)

    return at


def test_descriptions_come_back_as_written(tmp_path, read):
    workloads, datasets = read(WORKLOADS), read(DATASETS, read_datasets)
    write_workloads(workloads, tmp_path / "w.json")
    write_datasets(datasets, tmp_path / "d.json")
    assert read_workloads(tmp_path / "w.json") == workloads
    assert read_datasets(tmp_path / "d.json") == datasets
    assert datasets[1].location == ("T2",)
    assert [one.memory_unit for one in workloads] == ["MB", "bytes", "bytes"]


def test_jobs_are_drawn_with_their_files(read):
    found = draw(read(WORKLOADS), read(DATASETS, read_datasets), seed=1)
    jobs = found.jobs.collect()
    assert jobs["submit_time"].is_sorted()
    assert jobs["task_id"].to_list() == ["mc"] * 4 + ["old"] * 2 + ["ana"] * 3
    mc = jobs.filter(task_id="mc")
    assert mc["work"].to_list() == [5e12 / FLOPS_PER_HS23] * 4
    assert mc["mem_req"].to_list() == [2000.0] * 4
    assert mc["input_files"].to_list() == [0] * 4
    # 7 files among 3 jobs are 2 each, in their order; the seventh is read by none
    ana = found.inputs.filter(pl.col("job_id").str.starts_with("job_ana"))
    assert ana["file"].to_list() == [*(f"infile_raw_{k}" for k in range(5)), "infile_aod_0"]
    assert ana["access"].unique().to_list() == ["stream"]
    assert jobs.filter(job_id="job_ana_2")["input_bytes"].to_list() == [3e9]
    old = found.inputs.filter(pl.col("job_id").str.starts_with("job_old"))
    assert old.height == 4
    assert old["access"].unique().to_list() == ["copy"]
    assert found.files.filter(file="infile_raw_0")["location"].to_list() == ["T1", "T2"]
    assert (
        found.files.filter(pl.col("location").is_null())["file"].to_list() == old["file"].to_list()
    )


def test_the_seed_alone_decides(read):
    workloads, datasets = read(WORKLOADS), read(DATASETS, read_datasets)
    one, again, other = (draw(workloads, datasets, seed=k) for k in (3, 3, 4))
    assert one.jobs.collect().equals(again.jobs.collect())
    assert one.inputs.equals(again.inputs)
    assert not one.jobs.collect().equals(other.jobs.collect())


def test_distributions_have_their_shares_and_stay_above_their_bounds():
    rng = np.random.default_rng(7)
    n = 40_000
    histogram = Histogram((1.0, 0.0, 3.0), (0.0, 1.0, 2.0, 6.0))
    drawn = histogram.draw(n, rng)
    assert not ((drawn > 1) & (drawn < 2)).any()
    assert (drawn <= 1).mean() == pytest.approx(0.25, abs=0.01)
    assert drawn.mean() == pytest.approx(0.25 * 0.5 + 0.75 * 4, rel=0.01)
    assert histogram.mean == pytest.approx(0.25 * 0.5 + 0.75 * 4)
    cut = Gaussian(0.0, 2.0).draw(n, rng)
    assert cut.min() >= 0
    assert cut.mean() == pytest.approx(2 * np.sqrt(2 / np.pi), rel=0.02)
    cores = Poisson(0.5).draw_cores(n, rng)
    assert cores.min() == 1
    assert cores.mean() == pytest.approx(0.5 / (1 - np.exp(-0.5)), rel=0.02)
    assert Poisson(1e-9).draw_cores(5, rng).tolist() == [1] * 5


def test_cores_are_those_of_the_bins_or_the_position():
    rng = np.random.default_rng(0)
    shifted = Histogram((2.0, 0.0), (0.5, 1.5, 2.5))
    assert set(shifted.draw_cores(20, rng)) == {1}
    assert set(Histogram((5.0, 0.0, 1.0)).draw_cores(20, rng)) == {2}


def test_few_files_and_many_jobs(read):
    both = copy.deepcopy(WORKLOADS)
    both["ana"]["infiles_per_job"] = 4
    found = draw(read(both), read(DATASETS, read_datasets))
    ana = found.inputs.filter(pl.col("job_id").str.starts_with("job_ana"))
    assert ana.group_by("job_id").len()["len"].to_list() == [4, 4, 4]
    assert ana["file"][7] == "infile_raw_0"
    both["ana"]["infiles_per_job"] = 8
    with pytest.raises(InputError, match="infiles_per_job is 8, but its data sets have 7"):
        draw(read(both), read(DATASETS, read_datasets))
    many = copy.deepcopy(WORKLOADS)
    many["ana"]["num_jobs"] = 8
    found = draw(read(many), read(DATASETS, read_datasets))
    assert "fewer files than jobs" in " ".join(found.jobs.provenance.notes)


def test_no_jobs_and_no_workloads(read):
    none = {"none": WORKLOADS["ana"] | {"num_jobs": 0}}
    assert len(draw(read(none), read(DATASETS, read_datasets)).jobs) == 0
    assert len(draw(()).jobs) == 0


def test_missing_and_double_names_are_refused(read):
    with pytest.raises(InputError, match="reads the data set raw, aod, which is not there"):
        draw(read(WORKLOADS))
    with pytest.raises(InputError, match="have one name"):
        draw(read(WORKLOADS) * 2, read(DATASETS, read_datasets))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("num_jobs", -1, r"ana\.num_jobs"),
        ("num_jobs", 10**12, r"ana\.num_jobs"),
        ("workload_type", "mining", r"ana\.workload_type: 'mining' cannot be represented"),
        ("submission_time", "soon", r"ana\.submission_time"),
        ("submission_time", -3, r"ana\.submission_time"),
        ("cores", {"type": "histogram", "counts": [1]}, r"ana\.cores\.counts: there is no bin"),
        ("cores", {"type": "poisson", "mu": 0}, r"ana\.cores\.mu"),
        ("cores", {"type": "gaussian", "average": 1, "sigma": 0}, r"ana\.cores\.type"),
        (
            "cores",
            {"type": "histogram", "counts": [1, 1], "bins": [0.5, 2.5, 3.5]},
            r"ana\.cores\.bins: expected one whole number",
        ),
        ("flops", {"type": "poisson", "mu": 1}, r"ana\.flops\.type: expected gaussian or"),
        ("flops", {"type": "gaussian", "average": -1, "sigma": 0}, r"ana\.flops\.average"),
        ("flops", {"type": "gaussian", "average": 1}, r"ana\.flops\.sigma is missing"),
        ("flops", {"type": "histogram", "counts": [1, 2]}, r"ana\.flops\.bins"),
        ("flops", {"type": "histogram", "counts": [0], "bins": [0, 1]}, r"ana\.flops\.counts"),
        ("memory", {"type": "histogram", "counts": [1], "bins": [0, 1, 2]}, r"2 rising edges"),
        ("memory", {"type": "histogram", "counts": [1], "bins": [1, 0]}, r"ana\.memory\.bins"),
        ("memory", {"type": "histogram", "counts": [1], "bins": [-1, 0]}, r"ana\.memory\.bins"),
        ("infile_datasets", ["raw", "raw"], r"ana\.infile_datasets"),
        ("infile_dataset", "raw", "both given"),
        ("gpus", 1, r"ana\.gpus is no known key"),
    ],
)
def test_errors_name_the_path_of_the_key(read, key, value, words):
    with pytest.raises(FormatError, match=words):
        read({"ana": WORKLOADS["ana"] | {key: value}})


def test_jobs_that_read_need_files(read):
    bare = {key: value for key, value in WORKLOADS["ana"].items() if key != "infile_datasets"}
    with pytest.raises(FormatError, match=r"ana\.infile_datasets is missing"):
        read({"ana": bare})
    assert read({"ana": bare | {"infile_dataset": "raw"}})[0].infile_datasets == ("raw",)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_document_is_drawn_or_refused(read, data):
    document = {"sets": copy.deepcopy(DATASETS), "work": copy.deepcopy(WORKLOADS)}
    at, key = document, data.draw(st.sampled_from(["sets", "work"]))
    while isinstance(at[key], dict | list) and at[key] and data.draw(st.integers(0, 3)):
        at = at[key]
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
    small = st.integers(-5, 50)
    junk = st.none() | st.booleans() | small | st.floats(allow_nan=False) | st.text()
    at[key] = data.draw(junk | st.lists(junk, max_size=3) | st.dictionaries(st.text(), junk))
    with suppress(InputError):
        found = draw(read(document["work"]), read(document["sets"], read_datasets))
        jobs = found.jobs.collect()
        assert jobs["cores_req"].min() is None or jobs["cores_req"].min() >= 1
        assert not (jobs.select("work", "mem_req", "output_bytes").min_horizontal() < 0).any()


def test_results_are_jobs_and_measures(tmp_path):
    (tmp_path / "r.csv").write_text(RESULT)
    jobs, measures = read_results(tmp_path / "r.csv")
    frame = jobs.collect()
    assert frame["run_time"].to_list() == [10.0, 20.0]
    assert frame["site"].to_list() == ["wn1", "wn2"]
    assert tuple(measures.columns) == MEASURES
    assert measures["hit_rate"].to_list() == [0.5, None]
    write_results(jobs, tmp_path / "again.csv", measures)
    assert (tmp_path / "again.csv").read_text().splitlines()[0] == RESULT.splitlines()[0]
    back, again = read_results(tmp_path / "again.csv")
    assert back.collect().equals(frame)
    assert again.equals(measures)


def test_rows_of_results_that_cannot_be_true_are_counted(tmp_path):
    bad = (
        "job_a_0, wn1, 0, 1, 2, 1, 1, 0, 0, 0, 0\n"
        "job_a_2, wn1, 0, 5, 2, 1, 1, 0, 0, 0, 0\n"
        "job_a_3, wn1, 0, x, 2, 1, 1, 0, 0, 0, 0\n"
        "job_a_4, wn1, 0, 1, 2, 1, 1, 0, -1, 0, 0\n"
        "job_a_5, wn1\n"
    )
    (tmp_path / "r.csv").write_text(RESULT + bad)
    jobs, measures = read_results(tmp_path / "r.csv")
    assert len(jobs) == measures.height == 2
    assert jobs.provenance.rows_read == 7
    assert jobs.provenance.dropped == {
        "duplicate job.tag": 1,
        "end before start": 1,
        "not a number: start_time": 1,
        "negative input_bytes": 1,
        "malformed line": 1,
    }


def test_results_of_another_form_are_refused(tmp_path):
    (tmp_path / "r.csv").write_text("a, b\n1, 2\n")
    with pytest.raises(FormatError, match="lacks the columns"):
        read_results(tmp_path / "r.csv")
    (tmp_path / "r.csv").write_text(RESULT.replace("outfiles.size", "outfiles.size, mood", 1))
    with pytest.raises(FormatError, match="mood, which cannot be represented"):
        read_results(tmp_path / "r.csv")


def test_results_without_flops_and_names_with_commas(tmp_path):
    lines = [line.split(", ") for line in RESULT.splitlines()]
    older = "\n".join(", ".join(line[:6] + line[7:]) for line in lines)
    (tmp_path / "r.csv").write_text(older)
    jobs, measures = read_results(tmp_path / "r.csv")
    assert len(jobs) == 2
    assert measures["flops"].null_count() == 2
    named = jobs.with_frame(jobs.collect().with_columns(site=pl.lit("a, b")))
    with pytest.raises(InputError, match="holds a comma"):
        write_results(named, tmp_path / "w.csv")


def test_the_public_documents_are_read_whole_and_drawn(data_dir, tmp_path):
    folder = data_dir / "sites" / "dcsim"
    sets = [read_datasets(path) for path in sorted(folder.glob("*dataset-configs*.json"))]
    works = [read_workloads(path) for path in sorted(folder.glob("*workload-configs*.json"))]
    assert (len(sets), len(works)) == (6, 10)
    for found in sets:
        write_datasets(found, tmp_path / "d.json")
        assert read_datasets(tmp_path / "d.json") == found
    for workloads in works:
        write_workloads(workloads, tmp_path / "w.json")
        assert read_workloads(tmp_path / "w.json") == workloads
        needed = {name for one in workloads for name in one.infile_datasets}
        files = next(found for found in sets if needed <= {one.name for one in found})
        drawn = draw(workloads, files, seed=5)
        assert len(drawn.jobs) == sum(one.num_jobs for one in workloads)
        reads = {one.name for one in workloads if one.kind != "calculation" and one.num_jobs}
        told = drawn.jobs.collect().filter(pl.col("input_files") > 0)["task_id"]
        assert set(told) == reads
        assert drawn.jobs.collect()["mem_req"].is_between(0, 1e5).all()


def test_more_jobs_than_memory_holds_are_refused(read):
    with pytest.raises(FormatError, match="num_jobs: expected a whole number from 0 to 2000000"):
        read({"ana": WORKLOADS["ana"] | {"num_jobs": 10**8}})
