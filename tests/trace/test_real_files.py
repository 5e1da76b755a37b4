"""Every file of the real traces is read with its rows in balance, or refused with a reason."""

import gzip

import pytest

from gridtwin.core.errors import FormatError
from gridtwin.trace.readers import read

# rows that a plain count of lines finds, and what is dropped of them
FORMATS = {
    "alcf": "lumos",
    "swf": "swf",
    "mit_supercloud": "slurm",
    "peers": "dirlab",
    "panda": "panda",
    "rubin_synth": "panda",
}
REFUSED = ("openb_", ".machines", ".json", ".xml", "osg_")


def lines(path):
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return sum(1 for line in data.split(b"\n") if line.strip() and not line.startswith(b";"))


@pytest.mark.parametrize(
    "folder", ["alcf", "swf", "mit_supercloud", "gpu", "panda", "peers", "rubin_synth", "sites"]
)
def test_rows_balance_or_the_file_is_refused(data_dir, folder):
    files = [path for path in sorted((data_dir / folder).rglob("*")) if path.is_file()]
    assert files
    for path in files:
        if any(mark in path.name for mark in REFUSED):
            with pytest.raises(FormatError, match=path.name):
                read(path)
            continue
        jobs = read(path)
        origin = jobs.provenance
        header = 0 if origin.format == "swf" else 1
        assert origin.format == FORMATS.get(folder, "lumos")
        assert origin.rows_read == lines(path) - header, path
        assert origin.rows_read == len(jobs) + sum(origin.dropped.values()), path
        # published generators may send nonsense; recorded jobs are all kept
        if folder != "peers" or "train" in path.name:
            assert dict(origin.dropped) == {}, path


def test_theta_is_what_its_publisher_says(data_dir):
    jobs = read(data_dir / "alcf" / "theta.csv.gz")
    frame = jobs.collect()
    assert len(frame) == 14_374
    assert frame["user"].null_count() / len(frame) == pytest.approx(0.42, abs=0.005)
    assert (frame["cores_req"] == 64 * frame["nodes_req"]).all()
    assert (
        (frame["run_time"] > frame["walltime_req"]) & (frame["status"] == "finished")
    ).sum() == 421


def test_the_grid_has_170_sites_and_28_vos(data_dir):
    frame = read(data_dir / "swf" / "LCG_head70.swf.gz").collect()
    assert 150 < frame["site"].n_unique() <= 170
    assert frame["vo"].n_unique() <= 28
    assert frame["site"].str.contains(".", literal=True).all()
