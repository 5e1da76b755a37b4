"""What-if options of ``gridtwin sample``."""

import polars as pl
import pytest

import gridtwin


@pytest.fixture(scope="module")
def folder(jobs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name in ("trace", "smote"):
        gridtwin.models.get(name)(seed=0).fit(jobs).save(folder / name)
    return folder


def test_all_options_are_passed_on(run, folder, tmp_path):
    out = tmp_path / "s.parquet"
    asked = (
        *("-n", 200, "--days", 7, "--start", "monday", "--rate", 1.5, "--seed", 4),
        *("--where", "queue=short", "--where", "cores_req=8", "--where", "cores_req=16"),
        *("--mix", "status:failed=0.3", "--mix", "status:cancelled=0.1", "--without-user", "u1"),
    )
    done = run("sample", folder / "trace", "-o", out, *asked, "--json")
    assert done.code == 0, done.err
    assert "days = 7; start = monday; rate = 1.5" in done.json["notes"][1]
    found = pl.read_parquet(out)
    assert len(found) == 300
    assert set(found["queue"]) == {"short"}
    assert set(found["cores_req"]) == {8, 16}
    assert dict(found["status"].value_counts().iter_rows()) == {
        "failed": 90,
        "cancelled": 30,
        "finished": 180,
    }
    assert "u1" not in found["user"]


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--where", "queue", "column=value"),
        ("--where", "=short", "column=value"),
        ("--mix", "status=0.3", "column:value=share"),
        ("--mix", "status:failed=much", "column:value=share"),
        ("--mix", "status:failed", "column:value=share"),
    ],
)
def test_a_text_that_says_nothing_is_a_wrong_use(run, folder, tmp_path, option, text, words):
    done = run("sample", folder / "trace", "-o", tmp_path / "s.parquet", option, text)
    assert done.code == 2
    assert words in done.err


def test_a_value_that_there_is_not_is_said(run, folder, tmp_path):
    out = tmp_path / "s.parquet"
    done = run("sample", folder / "trace", "-o", out, "--where", "queue=shrt")
    assert done.code == 1
    assert "did you mean 'short'" in done.err
    assert not out.exists()


def test_a_model_of_rows_refuses(run, folder, tmp_path):
    done = run("sample", folder / "smote", "-o", tmp_path / "s.parquet", "--rate", 2)
    assert done.code == 1
    assert "'smote'" in done.err
    assert "takes no rate" in done.err
