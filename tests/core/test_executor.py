import math
import os
import subprocess
import sys
import traceback
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gridtwin.core.errors import SchemaError, TaskError, WorkerLostError
from gridtwin.core.executor import Executor

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # spawned processes have it, too
import executor_tasks as tasks  # noqa: E402

PROCESSES = Executor("processes", workers=2)


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    """Give an executor on a local Ray cluster of two cores, with a home of its own."""
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("PYTHONPATH", str(HERE))
        patch.delenv("RAY_ADDRESS", raising=False)
        with Executor("ray", workers=2) as executor:
            yield executor


@pytest.fixture(params=["serial", "processes", pytest.param("ray", marks=pytest.mark.ray)])
def executor(request):
    if request.param == "ray":
        return request.getfixturevalue("ray")
    return Executor() if request.param == "serial" else PROCESSES


@pytest.fixture(params=["processes", pytest.param("ray", marks=pytest.mark.ray)])
def apart(request):
    """Give the executors whose tasks run in other processes."""
    return request.getfixturevalue("ray") if request.param == "ray" else PROCESSES


def test_results_come_in_item_order(executor):
    assert list(executor.map(tasks.square, range(7))) == [0, 1, 4, 9, 16, 25, 36]


def test_no_items_no_results(executor):
    assert list(executor.map(tasks.square, [])) == []


def test_results_are_the_same_to_the_last_digit(executor):
    assert list(executor.map(tasks.draw, range(5))) == [tasks.draw(seed) for seed in range(5)]


def test_a_failing_task_is_reported_with_its_item(executor):
    results = executor.map(tasks.refuse_three, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SchemaError, match="no column 3") as caught:
        list(results)
    assert caught.value.__notes__ == ["in item 3 (the first is 0) of refuse_three: 3"]
    told = "".join(traceback.format_exception(caught.value))
    assert "raise SchemaError(f" in told  # the line where it arose, in whichever process


def test_the_function_of_a_partial_is_named(executor):
    with pytest.raises(ZeroDivisionError) as caught:
        list(executor.map(partial(divmod, 1), [1, 0]))
    assert caught.value.__notes__ == ["in item 1 (the first is 0) of divmod: 0"]


def test_a_long_item_is_told_in_short():
    with pytest.raises(TypeError) as caught:
        list(Executor().map(math.sqrt, ["a" * 1000]))
    assert len(caught.value.__notes__[0]) < 250


def test_an_error_that_cannot_be_handed_over_is_told(apart):
    with pytest.raises(TaskError, match="OddError: 1 and this") as caught:
        list(apart.map(tasks.odd, [1]))
    assert "raise OddError(x" in "".join(traceback.format_exception(caught.value))


def test_the_task_of_a_killed_worker_is_run_again(apart, tmp_path):
    marks = [str(tmp_path / name) for name in "abc"]
    Path(marks[0]).touch()
    Path(marks[2]).touch()
    assert list(apart.map(tasks.die_once, marks)) == ["a", "b", "c"]


def test_a_task_that_always_ends_its_process_is_named():
    results = Executor("processes", 2, retries=1).map(tasks.die_at_two, range(6))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(WorkerLostError, match="run again 1 times") as caught:
        next(results)
    assert caught.value.__notes__ == ["in item 2 (the first is 0) of die_at_two: 2"]


@pytest.mark.ray
def test_a_task_that_always_ends_its_process_is_named_by_ray(ray):
    with pytest.raises(WorkerLostError, match="ended from outside, as") as caught:
        list(Executor("ray", 2, retries=0).map(tasks.die, [7]))
    assert caught.value.__notes__ == ["in item 0 (the first is 0) of die: 7"]
    assert list(ray.map(tasks.square, [3])) == [9]  # the cluster goes on


def test_a_shared_value_is_handed_over_once(apart, tmp_path):
    values = np.arange(1e5).reshape(20, 5000)
    table = tasks.Counted(values, str(tmp_path / "log"))
    with apart.share(table) as shared:
        done = list(apart.map(partial(tasks.row_sum, shared), range(20)))
    assert (tmp_path / "log").read_text() == "x"
    assert [total for _, total in done] == list(values[:20].sum(1))
    assert os.getpid() not in {pid for pid, _ in done}


def test_here_a_shared_value_is_the_value():
    table = object()
    with Executor().share(table) as shared:
        assert shared.get() is table


def test_shared_values_may_be_anything(executor):
    for value in (None, "text", {"a": [1, 2]}, np.zeros(0), np.arange(6).reshape(2, 3)[:, ::2]):
        with executor.share(value) as shared:
            np.testing.assert_equal(shared.get(), value)


def test_the_file_of_a_shared_value_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with PROCESSES.share(np.arange(9)):
        assert len(list(tmp_path.rglob("value"))) == 1
    assert list(tmp_path.iterdir()) == []


def test_items_are_drawn_as_they_are_needed(executor):
    drawn = []

    def items():
        for i in range(100):
            drawn.append(i)
            yield i

    results = executor.map(abs, items())
    assert next(results) == 0
    assert len(drawn) <= 4
    results.close()


@pytest.mark.ray
def test_tasks_that_nobody_waits_for_are_cancelled(ray, tmp_path):
    marks = [tmp_path / name for name in "ab"]
    marks[0].touch()
    results = ray.map(tasks.wait_for, [marks[0]] + [marks[1]] * 3)
    assert next(results) == marks[0]
    results.close()
    # two tasks that wait for ever would hold both cores
    assert list(ray.map(tasks.square, [1, 2])) == [1, 4]


@pytest.mark.ray
@pytest.mark.slow
def test_ray_leaves_nothing_behind(tmp_path):
    pytest.importorskip("ray")
    script = (
        "from gridtwin.core.executor import Executor\n"
        "from gridtwin.core import _ray\n"
        "results = Executor('ray', 1).map(abs, [-1, -2])\n"
        "assert next(results) == 1\n"
        "print(_ray._session.folder)\n"
        "assert list(results) == [2]\n"
        "assert not _ray.ray.is_initialized()\n"
    )
    folder = run_script(script, HOME=str(tmp_path), RAY_ADDRESS="")
    assert not Path(folder).exists()
    assert running_in(folder) == []


@pytest.mark.ray
def test_a_cluster_that_runs_is_joined_and_left(ray):
    from gridtwin.core import _ray

    address = _ray.ray.get_runtime_context().gcs_address
    script = (
        "from gridtwin.core.executor import Executor\n"
        "from gridtwin.core import _ray\n"
        "with Executor('ray', 1) as one, one.share([3, 4]) as shared:\n"
        "    print(_ray.ray.get_runtime_context().gcs_address)\n"
        "    assert list(one.map(lambda i: shared.get()[i], [1, 0, 1])) == [4, 3, 4]\n"
    )
    assert run_script(script, RAY_ADDRESS=address) == address
    assert list(ray.map(tasks.square, [3])) == [9]


def run_script(script: str, **environment: str) -> str:
    """Run Python in a process of its own, where warnings are errors; return its last word."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def running_in(folder: str) -> list[str]:
    """Return the processes whose command names the folder."""
    commands = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [command for command in commands if folder in command]
