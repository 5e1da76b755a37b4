"""What-ifs from the form: the file that is written is the one that is run."""

import time
import tomllib

import httpx2
import pytest

from gridtwin.core.errors import InputError
from gridtwin.study.folder import Folder
from gridtwin.study.spec import load, parse
from gridtwin.web.guard import HEADER
from gridtwin.web.shapes import Question
from gridtwin.web.whatif import study_file

CHANGED = {
    "title": 'Two "quotes" = [x]\n',
    "load": 1.5,
    "lost": "machine",
    "switch_queue": "fcfs",
    "broker": ["least_loaded", "random"],
    "seeds": 2,
}


@pytest.mark.parametrize(
    "source",
    [{"example": "panda"}, {"example": "lublin", "cores": 256}, {"records": "jobs.parquet"}],
)
def test_a_question_is_a_study_of_each_change(runs, source):
    spec = parse(study_file(Question(**source, **CHANGED)), root=runs)
    assert spec.name == CHANGED["title"]
    assert spec.axes["broker"] == ("least_loaded", "random")
    assert spec.axes["whatif"] == ("base", "load x 1.5", "machine lost", "then fcfs")
    assert len(spec.runs) == 2 * 4 * 2


def test_a_question_that_is_no_study_is_refused(runs):
    with pytest.raises(InputError, match="nothing"):
        parse(study_file(Question(broker=["nothing"])), root=runs)


def test_the_file_can_be_read_before_it_is_run(client, token):
    answer = client.post("/api/studies/check", json=CHANGED, headers={HEADER: token})
    assert tomllib.loads(answer.json()["text"])["seeds"] == 2
    assert client.post("/api/studies/check", json=CHANGED).status_code == 401


@pytest.mark.slow
def test_a_study_is_run_and_shown(server, runs):
    headers = {HEADER: server.token}
    asked = {
        "records": "jobs.parquet",
        "cores": 128,
        "seeds": 1,
        "load": 1.2,
        "title": "../Odd <b>",
    }
    answer = httpx2.post(f"{server.address}api/studies", json=asked, headers=headers, timeout=60)
    assert answer.status_code == 201, answer.text
    path = answer.json()["path"]
    assert path.startswith("odd-b-")
    assert httpx2.post(f"{server.address}api/studies", json=asked, headers=headers).is_error
    end = time.monotonic() + 240
    while (state := httpx2.get(f"{server.address}api/studies").json()["studies"][0]) and (
        state["state"] == "running"
    ):
        assert time.monotonic() < end
    assert state["state"] == "done", state
    folder = Folder.open(runs / path)
    assert folder.complete
    assert load(runs / f"{path}.toml").same_as(folder.spec) is None
    told = httpx2.get(f"{server.address}api/run", params={"path": path}).json()
    assert told["progress"] == "2 of 2 runs"
    assert told["title"] == "../Odd <b>"
    assert len(told["scenarios"]) == 2
    page = httpx2.get(f"{server.address}run", params={"path": path}).text
    assert "<b>" not in page.replace("<b id=", "")
    both = {"first": path, "second": path, "second_scenario": "s001"}
    rows = httpx2.get(f"{server.address}api/compare", params=both).json()["figures"]
    jobs = next(row for row in rows if row["name"] == "jobs")
    assert jobs["ratio"] > 1.1
    report = httpx2.get(f"{server.address}report", params={"path": path})
    assert report.status_code == 200
