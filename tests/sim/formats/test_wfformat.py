"""Workflows in WfFormat 1.5: who waits for whom, files, circles, the way back."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridtwin.core.errors import FormatError, InputError
from gridtwin.sim.formats.wfformat import Machine, Workflow, read_workflow, write_workflow


def task(key: str, parents: str = "", reads: str = "", writes: str = "") -> dict[str, Any]:
    return {
        "name": key[:1],
        "id": key,
        "parents": parents.split(),
        "children": [],
        "inputFiles": reads.split(),
        "outputFiles": writes.split(),
    }


def document(*tasks: dict[str, Any], **execution: Any) -> dict[str, Any]:
    files = [{"id": name, "sizeInBytes": 10**k} for k, name in enumerate("wxyz")]
    body = {"specification": {"tasks": list(tasks), "files": files}}
    if execution:
        body["execution"] = execution
    return {"name": "flow", "schemaVersion": "1.5", "createdAt": "now", "workflow": body}


DIAMOND = document(
    task("d1", "b1 c1", "y z"),
    task("b1", "", "x", "y"),
    task("a1", "", "w", "x"),
    task("c1", "a1", "x", "z"),
    makespanInSeconds=9,
    executedAt="2026-01-01T00:00:00Z",
    tasks=[
        {"id": "a1", "runtimeInSeconds": 2, "avgCPU": 150, "coreCount": 2, "machine": "m"},
        {"id": "b1", "runtimeInSeconds": 3.5, "memoryInBytes": 2**21, "energyInKWh": 3},
        {"id": "c1", "runtimeInSeconds": 1, "machines": ["m"], "priority": 4},
        {"id": "d1", "runtimeInSeconds": 0},
    ],
    machines=[
        {
            "nodeName": "m",
            "memoryInBytes": 2**30,
            "system": "linux",
            "cpu": {"coreCount": 4, "speedInMHz": 2000, "vendor": "v"},
        }
    ],
)
DIAMOND["workflow"]["specification"]["tasks"][2]["children"] = ["b1", "c1"]


def read(folder: Path, value: object) -> Workflow:
    path = folder / "flow.json"
    path.write_text(json.dumps(value))
    return read_workflow(path)


def test_tasks_wait_for_parents_and_children_count_too(tmp_path: Path) -> None:
    flow = read(tmp_path, DIAMOND)
    frame = flow.jobs.collect()
    assert frame["job_id"].to_list() == ["a1", "b1", "c1", "d1"]
    parents = [flow.parent[flow.parent_ptr[k] : flow.parent_ptr[k + 1]].tolist() for k in range(4)]
    assert parents == [[], [0], [0], [1, 2]]
    assert frame["run_time"].to_list() == [2, 3.5, 1, 0]
    assert frame["cores_req"].to_list() == [2, 1, 1, 1]
    assert frame["cpu_time"].to_list() == [3, None, None, None]
    assert frame["mem_used"].to_list() == [None, 2, None, None]
    assert frame["site"].to_list() == ["m", None, "m", None]
    assert frame["priority"].to_list() == [None, None, 4, None]
    assert frame["activity"].to_list() == list("abcd")
    assert frame["input_bytes"].to_list() == [1, 10, 10, 1100]
    assert flow.files == (("w", 1.0), ("x", 10.0), ("y", 100.0), ("z", 1000.0))
    assert flow.machines == (Machine("m", 4, 2e9, 2.0**30),)
    assert flow.makespan == 9
    assert "key 'energyInKWh' of 1 entries is not used" in flow.jobs.provenance.notes


def test_workflows_are_given_to_the_simulation(tmp_path: Path) -> None:
    flow = read(tmp_path, DIAMOND)
    bare = flow.workload()
    assert bare.parent is not None
    assert bare.parent.tolist() == [0, 0, 1, 2]
    assert bare.files is None
    moved = flow.workload(origin=7)
    assert moved.files is not None
    # the one file that nobody writes, then what is read of each task's outputs
    assert moved.files.bytes.tolist() == [1, 10, 100, 1000, 0]
    assert moved.files.replica_node.tolist() == [7]
    assert moved.input_file is not None
    assert moved.input_file.tolist() == [0, 1, 1, 2, 3]
    assert moved.output_file is not None
    assert moved.output_file.tolist() == [1, 2, 3, -1]
    some = document(
        task("a", "", "", "x y"),
        task("b", "a", "x"),
        task("c", "a", "y"),
        makespanInSeconds=1,
        executedAt="t",
        tasks=[{"id": key, "runtimeInSeconds": 1} for key in "abc"],
    )
    with pytest.raises(InputError, match="task 'b' reads outputs of 'a' but not 'y'"):
        read(tmp_path, some).workload(origin=0)
    with pytest.raises(InputError, match="task 'a' has no run time"):
        read(tmp_path, document(task("a"))).workload()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (document(task("a", "c"), task("b", "a"), task("c", "b"), task("o")), "a -> b -> c -> a"),
        (document(task("a", "a")), "circle: a -> a"),
        (document(task("a", "b")), r"tasks\[0\].parents: there is no task 'b'"),
        (document(task("a", "", "q")), r"tasks\[0\].inputFiles: there is no file 'q'"),
        (document(task("a"), task("a")), r"tasks\[1\].id: 'a' is taken"),
        (document(task("a", "", "x x")), "a name is there twice"),
        (document(), "expected one task or more"),
        ({**DIAMOND, "schemaVersion": "1.4"}, "expected '1.5', got '1.4'"),
        ({"name": "f", "schemaVersion": "1.5"}, "workflow is missing"),
        ([], "workflow: expected an object"),
        (document(task("a"), tasks=[{"id": "b", "runtimeInSeconds": 1}]), "no task 'b'"),
        (document(task("a"), tasks=[{"id": "a", "runtimeInSeconds": -1}]), "0 or more"),
        (document(task("a"), tasks=[{"id": "a"}]), "runtimeInSeconds is missing"),
        (
            document(task("a"), tasks=[{"id": "a", "runtimeInSeconds": 1, "coreCount": 0.5}]),
            "coreCount: expected a whole number from 1",
        ),
        (
            document(task("a"), tasks=[{"id": "a", "runtimeInSeconds": 1, "machine": "m"}]),
            "there is no machine 'm'",
        ),
    ],
)
def test_what_is_no_workflow_is_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(tmp_path, value)


def test_a_long_circle_and_a_long_chain(tmp_path: Path) -> None:
    chain = [task(f"t{k}", f"t{k - 1}" if k else "") for k in range(5000)]
    flow = read(tmp_path, document(*chain[::-1]))
    assert flow.jobs.collect()["job_id"][-1] == "t4999"
    chain[0]["parents"] = ["t4999"]
    with pytest.raises(FormatError, match=r"circle: t\d+ -> .* -> \.\.\. -> "):
        read(tmp_path, document(*chain))


def same(one: Workflow, other: Workflow) -> bool:
    arrays = ("parent_ptr", "parent", "input_ptr", "input_file", "output_ptr", "output_file")
    return (
        one.jobs.collect().equals(other.jobs.collect())
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and (one.name, one.files, one.machines, one.makespan)
        == (other.name, other.files, other.machines, other.makespan)
    )


def test_written_workflows_come_back(tmp_path: Path) -> None:
    flow = read(tmp_path, DIAMOND)
    write_workflow(flow, tmp_path / "again.json")
    assert same(read_workflow(tmp_path / "again.json"), flow)
    planned = read(tmp_path, document(task("a", "", "w"), task("b", "a")))
    write_workflow(planned, tmp_path / "again.json")
    assert same(read_workflow(tmp_path / "again.json"), planned)
    assert "execution" not in json.loads((tmp_path / "again.json").read_text())["workflow"]


@st.composite
def flows(draw: st.DrawFn) -> dict[str, Any]:
    n = draw(st.integers(1, 8))
    tasks = []
    for k in range(n):
        parents = draw(st.lists(st.integers(0, k - 1), unique=True)) if k else []
        reads = draw(st.lists(st.sampled_from("wxyz"), unique=True))
        tasks.append(task(f"t{k}", " ".join(f"t{p}" for p in parents), " ".join(reads)))
    runs = [
        {"id": f"t{k}", "runtimeInSeconds": draw(st.floats(0, 1e9)), "coreCount": k + 1}
        for k in range(n)
    ]
    return document(
        *draw(st.permutations(tasks)), makespanInSeconds=1.5, executedAt="t", tasks=runs
    )


@settings(max_examples=60, deadline=None)
@given(value=flows())
def test_any_workflow_comes_back(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("wfformat")
    flow = read(folder, value)
    for k in range(len(flow.jobs)):
        assert (flow.parent[flow.parent_ptr[k] : flow.parent_ptr[k + 1]] < k).all()
    write_workflow(flow, folder / "again.json")
    assert same(read_workflow(folder / "again.json"), flow)


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 3000), cut=st.integers(0, 20), put=st.text(max_size=6))
def test_damaged_workflows_raise_format_errors_only(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, put: str
) -> None:
    path = tmp_path_factory.mktemp("wfformat") / "f.json"
    text = json.dumps(DIAMOND)
    at %= len(text)
    path.write_text(text[:at] + put + text[at + cut :], "utf-8", "replace")
    with suppress(FormatError):
        assert len(read_workflow(path).jobs) == 4
