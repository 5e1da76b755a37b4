"""``gridtwin train-policy``."""

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cem", "ppo", "clone"])
def test_a_policy_is_learnt_saved_and_compared(run, tmp_path, method):
    if method != "cem":
        pytest.importorskip("torch")
    trace, folder = tmp_path / "jobs.parquet", tmp_path / "it"
    assert run("example", "lublin", "-o", trace).code == 0
    options = ("--method", method, "--steps", 1, "--first", "0.05", "-o", folder, "--json")
    told = run("train-policy", trace, *options).json
    assert told["method"] == method
    assert (folder / "policy.json").exists()
    again = run("train-policy", trace, *options)
    assert again.code == 1
    assert "--resume" in again.err
    assert run("train-policy", trace, *options, "--resume").json == told
    name = told["policy"]
    compared = run(
        *("compare-policies", trace, "--policy", "sjf", "--policy", name),
        *("--sequences", 5, "--length", 100, "--json"),
    )
    assert {row["policy"] for row in compared.json["rows"]} == {"sjf", name}
    if method == "cem":
        simulated = run(
            *(
                "simulate",
                "--jobs",
                trace,
                "--policy",
                f"{name}+easy",
                "-o",
                tmp_path / "run",
                "--json",
            )
        )
        assert simulated.json["policy"] == f"{name}+easy"


def test_unknown_methods_are_told(run, tmp_path):
    found = run("train-policy", "none.csv", "--method", "dqn", "-o", tmp_path / "x")
    assert found.code == 2
    assert "unknown method 'dqn'" in found.err
