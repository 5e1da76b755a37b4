import polars as pl


def test_analyse_writes_tables_charts_and_a_page(run, trace, tmp_path):
    done = run("analyse", trace, "-o", tmp_path, "--figures", "svg")
    assert done.code == 0
    assert "failure_rate" in done.out
    assert (tmp_path / "analysis.html").is_file()
    assert pl.read_csv(tmp_path / "frames" / "status.csv")["n"].sum() == 300
    assert (tmp_path / "figures" / "final_status.svg").is_file()


def test_analyse_prints_one_document(run, trace, tmp_path):
    done = run("analyse", trace, "-o", tmp_path, "--json", "--figures", "")
    assert done.json["kpis"]["jobs"]["value"] == 300
    assert all(kpi["definition"] for kpi in done.json["kpis"].values())
    assert not (tmp_path / "figures").exists()


def test_analyse_refuses_an_unknown_format_before_the_work(run, trace, tmp_path):
    done = run("analyse", trace, "-o", tmp_path / "out", "--figures", "svg,gif")
    assert done.code == 1
    assert "'gif'" in done.err
    assert not (tmp_path / "out").exists()


def test_analyse_takes_a_folder_of_records(run, tmp_path):
    folder = tmp_path / "records"
    run("example", "panda", "--days", "1", "--scale", "0.05", "--traces", folder)
    done = run(
        "analyse", folder / "jobs.parquet", "--access", folder, "-o", tmp_path / "out", "--json",
        "--figures", ""
    )  # fmt: skip
    assert done.code == 0
    assert done.json["kpis"]["remote_share"]["n"] > 0
    assert "Remote data access" in (tmp_path / "out" / "analysis.html").read_text()
    assert run("analyse", folder / "jobs.parquet", "--access", tmp_path, "-o", tmp_path).code == 1
