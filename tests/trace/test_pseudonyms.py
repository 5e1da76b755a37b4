"""No name of a person is left in a table; the same key gives the same pseudonyms."""

import re
from functools import partial

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gridtwin.core.executor import Executor
from gridtwin.trace import writers
from gridtwin.trace.pseudonyms import KEPT, Key, replace_names
from gridtwin.trace.readers import panda, read
from gridtwin.trace.sources import ingest

KEY = Key(b"secret", "test")
OFFICIAL = "mc20_13TeV.410470.PhPy8EG_jdoe.deriv.DAOD_PHYS.e6337_p5855"


def replaced(user, **columns):
    frame = pl.DataFrame({"user": user, **columns})
    return replace_names(frame, frame.columns, KEY)


def test_names_are_replaced_where_they_stand_in_other_names():
    texts = [
        "user.jdoe.ttbar.by_JDOE-and-smith/",
        "user.jdoe:user.jdoe.v1",
        "panda.um.user.smith.log.12",
        "group.phys-higgs.jdoe.hh4b",
        OFFICIAL,
        f"user.jdoe:{OFFICIAL}",
        None,
    ]
    out = replaced(["jdoe"] * 7, dataset=texts)
    j, s = KEY.pseudonym("jdoe"), KEY.pseudonym("smith")
    assert out["user"].to_list() == [j] * 7
    assert out["dataset"].to_list()[:5] == [
        f"user.{j}.ttbar.by_{j}-and-{s}/",
        f"user.{j}:user.{j}.v1",
        f"panda.um.user.{s}.log.12",
        f"group.phys-higgs.{j}.hh4b",
        OFFICIAL,
    ]
    assert "jdoe" not in out["dataset"][5].replace(OFFICIAL, "")
    assert out["dataset"][6] is None


def test_parts_of_a_full_name_are_replaced_too():
    out = replaced(["Mary Ann de Roe"], task_id=["group.x.plots_for_mary.v1"])
    assert "mary" not in out["task_id"][0]
    assert out["task_id"][0].startswith("group.x.plots_for_u")


def test_numbers_are_ids_already_and_stay():
    out = replaced(["70296312345678", "12.0", None], dataset=["user.42.x", "a.v1", None])
    assert out["user"].to_list() == ["70296312345678", "12.0", None]
    assert out["dataset"].to_list() == ["user.42.x", "a.v1", None]


NAME = st.text("abcdefghijklmnopqrstuvwxyzABCDEXYZéß", min_size=4, max_size=10).filter(
    lambda name: name.casefold() not in ("user", "group", "panda")
)


@settings(max_examples=50, deadline=None)
@given(
    names=st.lists(NAME, min_size=1, max_size=4),
    text=st.text("ab._-/v1", max_size=8),
    form=st.sampled_from(
        ["user.{n}.{t}", "group.g.{n}.{t}", "user.{n}:user.{n}.{t}_{n}", "{t}.{n}"]
    ),
)
def test_no_name_survives_anywhere(names, text, form):
    texts = [form.format(n=name, t=text) for name in names]
    out = replaced(names, dataset=texts)
    for row in out.iter_rows():
        words = "".join(c if c.isalnum() else " " for c in " ".join(row)).casefold().split()
        assert not {name.casefold() for name in names} & set(words)


TASKS = [
    {"produsername": "Jane Doe", "jobname": "user.jdoe.for_smith_and_roe.v1/.1"},
    {
        "produsername": "Bob Smith",
        "jobname": "user.bsmith.of_JDOE/.2",
        "proddblock": "user.bsmith:x",
    },
    {"produsername": "77", "jobname": "user.77.doe.v2/.3", "proddblock": "group.g.bob.hh4b"},
    {"produsername": "Mary Roe", "jobname": "group.phys.plots_for_jane/.4"},
]


@pytest.mark.parametrize("size", [1, 300, 1 << 23])
def test_names_in_others_texts_are_replaced_whatever_the_pieces(
    archive, size, tmp_path, monkeypatch
):
    monkeypatch.setenv("GRIDTWIN_KEY", "a key for tests")
    path = archive(*({"jeditaskid": "", **task} for task in TASKS * 3))
    monkeypatch.setattr(panda, "read_tables", partial(panda.read_tables, size=size))
    at_once = read(path)
    jobs = ingest(path, tmp_path / "o.parquet")
    assert_frame_equal(jobs.collect(), at_once.collect())
    assert sorted(jobs.provenance.notes) == sorted(at_once.provenance.notes)
    text = " ".join(str(row) for row in jobs.collect().rows()).casefold()
    for name in ("doe", "smith", "jdoe", "roe", "bob", "jane", "mary"):
        assert not re.search(rf"\b(_|){name}(_|)\b", text)


@pytest.mark.parametrize("workers", [1, 2])
def test_names_are_known_from_other_files_too(archive, workers, tmp_path, monkeypatch):
    monkeypatch.setenv("GRIDTWIN_KEY", "a key for tests")
    folder = tmp_path / "days"
    folder.mkdir()
    for i, task in enumerate(TASKS):
        task = task | {"jeditaskid": "", "pandaid": str(i)}
        archive(task).rename(folder / f"{i}.csv")
    wanted = read(folder).collect()
    executor = Executor("processes", workers)
    one = ingest(folder, tmp_path / "o.parquet", executor=executor)
    assert_frame_equal(one.collect(), wanted)
    many = ingest(folder, tmp_path / "parts", executor=executor)
    assert_frame_equal(many.collect(), wanted)
    assert "smith" not in str(wanted.rows()).casefold()
    kept = ingest(folder, tmp_path / "p.parquet", keep_names=True)
    assert_frame_equal(kept.collect(), read(folder, keep_names=True).collect())
    assert "smith" in str(kept.collect().rows())


def test_the_same_key_gives_the_same_pseudonyms_and_no_key_others(archive, monkeypatch):
    path = archive({}, {"produsername": "John Roe"})
    monkeypatch.setenv("GRIDTWIN_KEY", "a long secret")
    first, second = read(path), read(path)
    assert first.collect().equals(second.collect())
    assert first.collect()["user"].n_unique() == 2
    monkeypatch.setenv("GRIDTWIN_KEY", "another")
    assert read(path).collect()["user"][0] != first.collect()["user"][0]
    monkeypatch.delenv("GRIDTWIN_KEY")
    drawn = read(path)
    assert drawn.collect()["user"][0] != read(path).collect()["user"][0]
    assert any("not kept" in note and "drawn" in note for note in drawn.provenance.notes)


def test_the_key_is_written_nowhere(archive, monkeypatch, tmp_path):
    monkeypatch.setenv("GRIDTWIN_KEY", "xyzzy-secret")
    jobs = read(archive({}, {"creationtime": "bad"}), rejects=tmp_path / "rejects.csv")
    writers.write(jobs, tmp_path / "jobs.parquet")
    assert "xyzzy" not in repr(jobs.provenance)
    assert "xyzzy" not in repr(Key.choose())
    for path in tmp_path.iterdir():
        assert b"xyzzy-secret" not in path.read_bytes()


def test_names_are_kept_if_asked_and_the_provenance_says_so(archive):
    jobs = read(archive({}), keep_names=True)
    assert jobs.collect()["user"].to_list() == ["Jane Doe"]
    assert KEPT in jobs.provenance.notes


def test_no_word_of_names_where_there_are_none(archive):
    nobody = dict.fromkeys(("produsername", "jobname", "proddblock", "jeditaskid"), "")
    notes = read(archive(nobody)).provenance.notes
    assert not any("names" in note for note in notes)


@pytest.mark.parametrize("keep", [True, False])
def test_error_texts_are_never_kept(archive, keep):
    jobs = read(archive({"piloterrordiag": "no such file /home/jdoe/x"}), keep_names=keep)
    assert "/home/jdoe" not in str(jobs.collect().to_dicts())


def test_accounts_in_slurm_records_are_names(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(
        "JobID|JobIDRaw|User|State|Submit|Start|End|ReqCPUS\n"
        "1|1|ann|COMPLETED|2024-03-01T08:01:00|2024-03-01T08:01:00|2024-03-01T08:02:40|4\n"
        "2|2|1002|COMPLETED|2024-03-01T08:01:00|2024-03-01T08:01:00|2024-03-01T08:02:40|4\n"
    )
    users = read(path).collect()["user"].to_list()
    assert users[1] == "1002"
    assert users[0].startswith("u")
    assert read(path, keep_names=True).collect()["user"].to_list() == ["ann", "1002"]
