"""``gridtwin anomalies``: with a name, with a saved model, and with neither."""

import polars as pl


def test_a_model_fitted_to_the_other_days(run, trace, tmp_path):
    done = run(
        "anomalies", trace, "-o", tmp_path / "odd.csv", "--model", "cart:trees=2", "--top", 4
    )
    assert (done.code, done.err) == (0, "")
    assert "the oddest of 300 jobs" in done.out
    assert pl.read_csv(tmp_path / "odd.csv").height == 300


def test_a_saved_model_and_json(run, trace, tmp_path):
    assert run("train", "cart", trace, "-o", tmp_path / "model").code == 0
    output = tmp_path / "odd.parquet"
    done = run(
        "anomalies", trace, "-o", output, "--model", tmp_path / "model", "--top", 3, "--json"
    )
    assert done.code == 0
    assert done.json["model"] == "cart"
    assert len(done.json["oddest"]) == 3
    assert pl.read_parquet(output)["job_id"].head(3).to_list() == [
        job["job_id"] for job in done.json["oddest"]
    ]


def test_no_such_model(run, trace, tmp_path):
    done = run("anomalies", trace, "-o", tmp_path / "odd.csv", "--model", "carte")
    assert done.code == 2
    assert "did you mean 'cart'" in done.err
    done = run("anomalies", trace, "-o", tmp_path / "odd.csv", "--model", "smote")
    assert done.code == 1
    assert "take cart or tabddpm" in done.err
