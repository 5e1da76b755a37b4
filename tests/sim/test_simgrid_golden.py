"""What SimGrid gave, through the grid kernel: ``benchmarks/simgrid_golden.py``."""

import gzip
import importlib
import json
import math
import sys
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
golden = importlib.import_module("simgrid_golden")
sys.path.pop(0)

EXTRACTS = sorted(path.stem for path in golden.EXTRACTS.glob("*.json"))
SHARED_HOSTS = {"lan_host"}
"""The LAN links of hosts bind there, which the kernel does not know."""
GRID = {
    "topology": "independent_wan",
    "sites": 2,
    "cores_per_site": 1,
    "core_speed_flops": 1e9,
    "wan_bandwidth_Bps": 1e8,
    "wan_latency_s": "1e-3*(1+2*site)",
}


@pytest.mark.parametrize("name", sorted(set(EXTRACTS) - SHARED_HOSTS))
def test_the_kernel_gives_the_times_that_simgrid_gave(name):
    row, notes = golden.compare(golden.EXTRACTS / f"{name}.json")
    assert row["jobs"] >= 1
    assert max(row[f"max_{time}"] for time in golden.TIMES) < 1e-9
    assert notes == []


@pytest.mark.parametrize("name", sorted(SHARED_HOSTS))
def test_hosts_whose_own_links_bind_are_said_to_be_approximate(name):
    row, notes = golden.compare(golden.EXTRACTS / f"{name}.json")
    assert any("hosts may bind" in note for note in notes)
    assert row["max_end"] > 1.0


def scenario(folder, grid, jobs, suffix=".csv"):
    (folder / "made.json").write_text(json.dumps(grid))
    text = pl.DataFrame(jobs).write_csv().encode()
    packed = gzip.compress(text) if suffix == ".csv.gz" else text
    (folder / f"made{suffix}").write_bytes(packed)
    return folder / "made.json"


def jobs_of(submit, size, flops, **times):
    return {"submit": submit, "input_bytes": size, "flops": flops} | times


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_scenario_may_leave_out_what_has_no_part_in_its_outcome(tmp_path, suffix):
    """Two sites, the second three times as far: 13.01 latencies, then 0.97 / 1.05 of the link."""
    move = 1e8 / (0.97 * 1e8 / 1.05)
    staged = [10.0 + 13.01e-3 + move, 10.0 + 3 * 13.01e-3 + move]
    jobs = jobs_of(
        [10.0, 10.0],
        [100_000_000] * 2,
        [5_000_000_000] * 2,
        start=[10.0, 10.0],
        stage_in_end=staged,
        end=[time + 5.0 for time in staged],
    )
    row, notes = golden.compare(scenario(tmp_path, GRID, jobs, suffix))
    assert row == {
        "scenario": "made",
        "jobs": 2,
        **{f"max_{time}": pytest.approx(0.0, abs=1e-9) for time in golden.TIMES},
    }
    assert notes == []


def test_rows_may_come_in_any_order_and_differences_are_the_largest(tmp_path):
    jobs = jobs_of(
        [7.0, 3.0, 5.0],
        [0, 0, 0],
        [1e9] * 3,
        start=[7.0, 3.0, 5.5],
        stage_in_end=[7.0, 3.0, 5.0],
        end=[8.25, 4.0, 6.0],
    )
    row, _ = golden.compare(scenario(tmp_path, GRID, jobs))
    assert (row["max_start"], row["max_stage_in_end"], row["max_end"]) == (0.5, 0.0, 0.25)


def test_a_scenario_without_jobs_has_no_differences(tmp_path):
    nothing = pl.Series([], dtype=pl.Float64)
    columns = dict.fromkeys(("submit", "input_bytes", "flops", *golden.TIMES), nothing)
    row, _ = golden.compare(scenario(tmp_path, GRID, columns))
    assert row["jobs"] == row["max_end"] == 0


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-3*(1+2*site)", [1e-3, 3e-3, 5e-3]),
        ("(site % 2 + 1) / 4 - 0.25", [0.0, 0.25, 0.0]),
        ("0.5", [0.5] * 3),
    ],
)
def test_values_by_site_may_be_a_formula(text, values):
    grid = golden.DEFAULTS | GRID | {"sites": 3, "wan_latency_s": text}
    platform, _ = golden.platform_of(golden.scenarios.build(grid, _NO_JOBS))
    latency = {link.name: link.latency for link in platform.links}
    assert [latency[f"wan{k}"] for k in range(3)] == pytest.approx(values)


_NO_JOBS = pl.DataFrame(schema=dict.fromkeys(("submit", "input_bytes", "flops"), pl.Float64))


def test_the_program_prints_what_it_compared_and_says_what_it_left_out(
    tmp_path, capsys, monkeypatch
):
    scenario(tmp_path, GRID, jobs_of([1.0], [0], [1e9], start=[1.0], stage_in_end=[1.0], end=[2.0]))
    (tmp_path / "alone.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", ["simgrid_golden.py", str(tmp_path)])
    golden.main()
    out, err = capsys.readouterr()
    assert json.loads(out) == [
        {"scenario": "made", "jobs": 1, "max_start": 0.0, "max_stage_in_end": 0.0, "max_end": 0.0}
    ]
    assert "alone.json" in err


@pytest.mark.parametrize(
    "broken", [{"sites": "two"}, {"core_speed_flops": None}, {"wan_latency_s": "1/0"}]
)
def test_a_scenario_that_cannot_be_read_fails_the_program_but_not_the_others(
    tmp_path, capsys, monkeypatch, broken
):
    jobs = jobs_of([1.0], [0], [1e9], start=[1.0], stage_in_end=[1.0], end=[2.0])
    scenario(tmp_path, GRID, jobs).rename(tmp_path / "fine.json")
    (tmp_path / "made.csv").rename(tmp_path / "fine.csv")
    scenario(tmp_path, GRID | broken, jobs)
    monkeypatch.setattr(sys, "argv", ["simgrid_golden.py", str(tmp_path)])
    with pytest.raises(SystemExit, match="1 scenarios could not be read; 1 were compared"):
        golden.main()
    out, err = capsys.readouterr()
    assert [row["scenario"] for row in json.loads(out)] == ["fine"]
    assert err.startswith("made.json: ")
    assert not math.isnan(json.loads(out)[0]["max_end"])
