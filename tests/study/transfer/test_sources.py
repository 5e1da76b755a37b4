"""What schedulers are trained on."""

from dataclasses import replace

import numpy as np
import pytest
from tests.conftest import make_jobs

from gridtwin.core.errors import InputError
from gridtwin.policy.batch.stream import from_table
from gridtwin.study.benchmark import Contender
from gridtwin.study.transfer import sources
from gridtwin.study.transfer.sources import Draw, draw, load_of, matched, split, stream_of


@pytest.fixture(scope="module")
def parts(jobs):
    return split(jobs, 0.6, 64)


def test_the_parts_follow_each_other(jobs, parts):
    assert len(parts.train) == 180
    assert len(parts.train) + len(parts.test) == len(from_table(jobs, cores=64))
    assert parts.train.submit.max() <= parts.test.submit.min()
    assert parts.train.cores == parts.test.cores == 64
    assert len(parts.jobs) == 180


def test_of_a_long_trace_the_last_jobs_are_taken(jobs, monkeypatch):
    monkeypatch.setattr(sources, "MOST", 100)
    parts = split(jobs, 0.6, 64)
    whole = np.sort(jobs.collect()["submit_time"].to_numpy())
    assert parts.train.submit.tolist() == whole[80:180].tolist()


@pytest.mark.parametrize(("share", "words"), [(1.0, "between 0 and 1"), (0.9, "later part")])
def test_bad_parts_are_refused(jobs, share, words):
    with pytest.raises(InputError, match=words):
        split(jobs, share, 64)


def test_gaps_are_brought_to_a_load(parts):
    stream = matched(parts.train, 3.0)
    assert load_of(stream) == pytest.approx(3.0)
    gaps, old = np.diff(stream.submit), np.diff(parts.train.submit)
    np.testing.assert_allclose(gaps, old * load_of(parts.train) / 3.0, atol=1e-3)
    assert (stream.run == parts.train.run).all()


def test_jobs_at_one_instant_have_no_load_to_match(parts):
    at_once = parts.train.head(1)
    with pytest.raises(InputError, match="leave \\+load out"):
        matched(at_once, 0.7)


def test_samples_are_drawn_once_and_the_same_again(parts, tmp_path):
    wanted = Draw(Contender("smote"), (0, 1), 0, tmp_path)
    assert draw(wanted, parts.jobs) == ""
    assert wanted.missing == ()
    bytes_ = [wanted.file(seed).read_bytes() for seed in (0, 1)]
    assert bytes_[0] != bytes_[1]
    wanted.file(1).unlink()
    assert wanted.missing == (1,)
    draw(wanted, parts.jobs)
    assert [wanted.file(seed).read_bytes() for seed in (0, 1)] == bytes_
    stream = stream_of("smote", 1, parts, tmp_path)
    same = stream_of("smote+load", 1, parts, tmp_path)
    assert len(stream) == len(same) == 180
    assert load_of(same) == pytest.approx(load_of(parts.train))
    assert load_of(stream) != pytest.approx(load_of(parts.train))
    assert stream_of("real", 1, parts, tmp_path) is parts.train


def test_why_nothing_can_be_drawn_is_told(jobs, tmp_path):
    one = jobs.with_frame(jobs.collect().head(1))
    assert "4 hours" in draw(Draw(None, (0,), 0, tmp_path), one)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_stray_job_does_not_stretch_the_load():
    stream = from_table(make_jobs(400), cores=64)
    early = stream.submit.copy()
    early[0] -= 1e8
    assert load_of(replace(stream, submit=early)) == pytest.approx(load_of(stream))
