"""What the server tells of run folders, and what it does not."""

import contextlib

import pytest

from gridtwin.core.errors import FormatError
from gridtwin.report.numbers import duration, percent, signed
from gridtwin.web import runs as folders
from gridtwin.web.runs import MissingError

HOSTILE = "<img src=x onerror=alert(1)>"
AWAY = [
    *("..", "../outside", "easy/../../outside", "/etc", "link", "link/.", ".hidden", "easy/.."),
    *("easy\x00", "none", ".", "x" * 999, "easy/summary.json", "%2e%2e/outside", "\ud800"),
]


@pytest.mark.parametrize("path", AWAY)
def test_paths_do_not_leave_the_folder(runs, path):
    with pytest.raises(MissingError):
        folders.find(runs, path)


@pytest.mark.parametrize("path", AWAY[:-1])
@pytest.mark.parametrize("page", ["/run", "/report", "/api/run", "/api/timeline"])
def test_paths_that_lead_out_are_not_found(client, page, path):
    answer = client.get(page, params={"path": path})
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/static/..%2fguard.py", "/static/%2e%2e"],
)
def test_raw_paths_that_lead_out_are_not_found(client, path):
    assert client.get(path).status_code == 404


def test_the_list_has_the_runs_and_nothing_else(client):
    told = client.get("/api/runs").json()
    found = {run["path"]: run for run in told["runs"]}
    assert set(found) == {"easy", "fcfs", HOSTILE}
    assert found["easy"]["kind"] == "simulation"
    assert found["easy"]["report"]
    assert not found["fcfs"]["report"]  # a link
    assert found[HOSTILE]["kind"] == "report"
    assert told["left_out"] == 0


def test_names_are_escaped(client):
    page = client.get("/").text
    assert "<img" not in page
    assert "&lt;img src=x" in page
    page = client.get("/run", params={"path": HOSTILE}).text
    assert "<img" not in page


def test_a_run_tells_its_summary(client, runs):
    told = client.get("/api/run", params={"path": "easy"}).json()
    figures = {figure["name"]: figure["value"] for figure in told["figures"]}
    assert figures["jobs"] == 300
    assert told["facts"]["policy"] == "easy"


def test_a_timeline_keeps_the_area(client, runs, jobs):
    """The mean of the busy cores over the bins is the work over the time."""
    told = client.get("/api/timeline", params={"path": "fcfs"}).json()
    figures = client.get("/api/run", params={"path": "fcfs"}).json()["figures"]
    value = {figure["name"]: figure["value"] for figure in figures}
    mean = sum(told["busy_cores"]) / len(told["busy_cores"])
    assert len(told["busy_cores"]) == folders.BINS
    assert mean == pytest.approx(value["utilisation"] * value["cores"], rel=1e-6)


def test_two_runs_are_compared(client):
    told = client.get("/api/compare", params={"first": "easy", "second": "fcfs"}).json()
    row = next(row for row in told["figures"] if row["name"] == "mean_wait")
    assert row["change"] == pytest.approx(row["second"] - row["first"])
    assert row["ratio"] == pytest.approx(row["second"] / row["first"])
    assert row["second"] > row["first"]  # FCFS without backfilling waits longer here
    page = client.get("/compare", params={"first": "easy", "second": "fcfs"})
    assert page.status_code == 200
    assert "Mean wait" in page.text
    assert f">{duration(row['second'])}</td>" in page.text
    assert f">{signed(row['change'], 's')}</td>" in page.text


def test_figures_are_told_in_their_units(client):
    told = client.get("/api/run", params={"path": "easy"}).json()
    value = {figure["name"]: figure["value"] for figure in told["figures"]}
    page = client.get("/run", params={"path": "easy"}).text
    for name, text in (
        ("Utilisation", percent(value["utilisation"])),
        ("Waiting share", percent(value["waiting_share"])),
        ("95th percentile of wait", duration(value["p95_wait"])),
    ):
        assert f'{name}</th><td data-label="Value">{text}</td>' in page


def test_a_report_runs_no_script(client):
    answer = client.get("/report", params={"path": "easy"})
    assert answer.text.startswith("<title>A report")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert client.get("/report", params={"path": "fcfs"}).status_code == 404


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"summary": 3}', '{"summary": {"jobs": "x"}}', "[" * 99999]
)
def test_a_damaged_summary_does_no_harm(runs, tmp_path, text):
    run = tmp_path / "run"
    run.mkdir()
    (run / "summary.json").write_text(text)
    (run / "timeline.parquet").write_text("no")
    item = folders.find(tmp_path, "run")
    with contextlib.suppress(FormatError):
        assert item.figures() == []
    with pytest.raises(FormatError, match="timeline"):
        item.timeline()


def test_lists_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MOST_RUNS", 3)
    for k in range(5):
        (tmp_path / f"r{k}").mkdir()
        (tmp_path / f"r{k}" / "report.html").touch()
    found, left_out = folders.runs(tmp_path)
    assert (len(found), left_out) == (3, 2)
