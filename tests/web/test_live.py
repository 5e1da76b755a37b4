"""Live simulations: stepped, steered, watched by several, and gone when they are over."""

import json
import os
import signal
import time
from pathlib import Path

import httpx2
import polars as pl
import pytest

from gridtwin.sim import Platform, simulate, steer
from gridtwin.web.guard import HEADER
from gridtwin.web.live import MOST_NOTES, MOST_POINTS, Limits, Live
from gridtwin.web.shapes import LiveState, Start
from gridtwin.web.simulation import Drive, frame_of, load, platform_for

WAIT = 240.0
"""s that a server is waited for, where the kernel has to be compiled first."""


def frame(k, **more):
    now = {"time": float(k), "queued": k, "running": 1, "busy_cores": 1, "open_cores": 4}
    return {"kind": "frame", "now": now | {"rate": 0.0}, **more}


def test_points_are_bounded_and_keep_both_ends():
    live = Live(Start())
    for k in range(10 * MOST_POINTS):
        live.hear(frame(k))
    assert len(live.points) <= MOST_POINTS
    assert live.points[0][0] == 0.0
    assert live.points[-1][0] >= 10 * MOST_POINTS - 2**5
    gaps = {b[0] - a[0] for a, b in zip(live.points[:-1], live.points[1:], strict=True)}
    assert len(gaps) == 1


def test_notes_are_bounded():
    live = Live(Start())
    for k in range(3 * MOST_NOTES):
        live.note(f"{k}" * 1000)
    assert len(live.notes) == MOST_NOTES
    assert max(len(note["text"]) for note in live.notes) <= 500


def test_whoever_looks_seldom_has_the_same_points_in_the_end():
    """A cursor that is asked at every frame, and one that is asked now and then."""
    live, often, seldom = Live(Start()), [], []
    marks = {"often": (-1, 0), "seldom": (-1, 0)}

    def ask(name, points):
        text, marks[name] = live.frame(marks[name])
        told = json.loads(text)
        if told["reset"]:
            points.clear()
        points += told["points"]

    for k in range(3 * MOST_POINTS):
        live.hear(frame(k))
        ask("often", often)
        if k % 97 == 0:
            ask("seldom", seldom)
    ask("seldom", seldom)
    assert often == seldom == live.points


def test_a_state_is_told_as_the_api_says():
    live = Live(Start(example="lublin", jobs=5))
    assert live.shape().title == "example lublin, 5 jobs"
    live.hear({"kind": "failed", "text": "no"})
    assert live.over
    assert live.shape().notes[0].bad


@pytest.mark.parametrize("platform", ["observed", "machine"])
def test_slices_make_no_difference(jobs, platform):
    """What a drive comes to in many small steps is what one simulation gives."""
    start = Start(platform=platform, cores=128, speed=1e6)
    sites = platform_for(start, jobs)
    assert sites.cores.sum() == 128
    times = []

    def play(run):
        drive = Drive(run, start.speed)
        while not drive.over:
            drive.step(0.1, 1.0)
            told = frame_of(drive)["now"]
            times.append(told["time"])
            assert told["busy_cores"] <= 128

    steps = simulate(jobs, platform=sites, policy="easy", drive=play)
    whole = simulate(jobs, platform=sites, policy="easy", drive=lambda run: run.until())
    assert times == sorted(times)
    assert len(times) > 5
    assert steps.jobs.collect().equals(whole.jobs.collect())


def test_a_drive_lags_rather_than_holds_up(jobs):
    def play(run):
        drive = Drive(run, 1e8)
        drive.step(0.1, 0.0)  # no time to work in
        assert not drive.over
        assert run.events == 0
        run.until()

    simulate(jobs, cores=128, drive=play)


def test_records_are_read_below_the_served_folder(runs):
    assert len(load(Start(records="jobs.parquet"), runs)) == 300


def started(server, **start):
    """Start a simulation and wait until it stands."""
    headers = {HEADER: server.token}
    answer = httpx2.post(f"{server.address}api/live", json=start, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def until(server, live, wanted):
    """Follow the stream until a frame is as wanted; return it."""
    end = time.monotonic() + WAIT
    with httpx2.stream("GET", f"{server.address}api/live/{live}/stream", timeout=WAIT) as lines:
        assert lines.status_code == 200
        for line in lines.iter_lines():
            if line.startswith('data: {"'):
                told = json.loads(line[6:])
                assert told["state"] != "failed", told["notes"]
                if wanted(told):
                    return told
            assert time.monotonic() < end, line
    raise AssertionError("the stream ended")


def act(server, live, **action):
    headers = {HEADER: server.token}
    path = f"{server.address}api/live/{live}/action"
    return httpx2.post(path, json=action, headers=headers).status_code


@pytest.mark.slow
def test_a_simulation_is_played_steered_and_ended(server):
    live = started(server, records="jobs.parquet", platform="machine", cores=128, paused=True)
    told = until(server, live, lambda told: told["state"] == "paused")
    assert told["jobs"] == 300
    sites = httpx2.get(f"{server.address}api/live/{live}").json()["sites"]
    assert sites == [{"name": "machine", "cores": 128}]
    assert act(server, live, do="speed", value=3600.0) == 200
    assert act(server, live, do="play") == 200
    told = until(server, live, lambda told: told["now"]["running"] > 0)
    for action in (
        {"do": "policy", "policy": "sjf"},
        {"do": "policy", "policy": "nothing"},
        {"do": "load", "value": 2.0},
        {"do": "close", "site": "machine"},
    ):
        assert act(server, live, **action) == 200
    told = until(server, live, lambda told: told["now"]["open_cores"] == 0)
    assert told["now"]["running"] == 0  # an outage ends what runs
    assert told["policy"] == "sjf"
    assert [note["bad"] for note in told["notes"]][-4:] == [False, True, False, False]
    assert act(server, live, do="reopen", site="machine") == 200
    assert act(server, live, do="speed", value=1e7) == 200
    told = until(server, live, lambda told: told["state"] == "done")
    assert told["progress"]["arrived"] == 300
    shape = LiveState.model_validate(httpx2.get(f"{server.address}api/live/{live}").json())
    assert shape.state == "done"
    assert len(server.children()) == 1
    answer = httpx2.delete(f"{server.address}api/live/{live}", headers={HEADER: server.token})
    assert answer.status_code == 200
    assert server.children() == []
    assert act(server, live, do="play") == 409


@pytest.mark.slow
def test_as_many_run_as_may_and_none_is_left_behind(server):
    for _ in range(2):
        started(server, example="lublin", jobs=100, paused=True)
    answer = httpx2.post(f"{server.address}api/live", json={}, headers={HEADER: server.token})
    assert answer.status_code == 409
    children = server.children()
    assert len(children) == 2
    said = server.stop()
    assert server.token not in said
    assert "Traceback" not in said
    assert not any(alive(pid) for pid in children)


@pytest.mark.slow
def test_children_end_when_the_server_is_killed(server):
    started(server, example="panda", days=200, scale=1.0)  # which loads for a while
    (child,) = server.children()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    end = time.monotonic() + WAIT
    while alive(child):
        assert time.monotonic() < end


@pytest.mark.slow
def test_a_stream_ends_with_the_server(server):
    live = started(server, example="lublin", jobs=100, paused=True)
    with httpx2.stream("GET", f"{server.address}api/live/{live}/stream", timeout=WAIT) as lines:
        rows = lines.iter_lines()
        next(rows)
        server.process.send_signal(signal.SIGINT)
        assert any('"ended"' in row for row in rows)
    assert server.process.wait(timeout=30) in (0, 130, -signal.SIGINT)


def alive(pid: int) -> bool:
    """Whether a process is there and not only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_limits_are_kept():
    limits = Limits()
    assert limits.running <= limits.kept
    assert pl.Series([limits.alone, limits.life, limits.loading]).is_finite().all()


def test_steering_is_that_of_the_kernel(jobs):
    """A site that is shut and opened again between two steps is shut in between."""
    seen = []

    def play(run):
        drive = Drive(run, 3600.0)
        while run.look()["running"].sum() == 0:
            drive.step(1.0, 1.0)
        steer.close(run, "machine")
        seen.append(frame_of(drive)["now"])
        steer.reopen(run, "machine")
        seen.append(frame_of(drive)["now"])
        run.until()

    simulate(jobs, platform=Platform.single(128), policy="easy", drive=play)
    assert [now["open_cores"] for now in seen] == [0, 128]
    assert seen[0]["running"] == 0
