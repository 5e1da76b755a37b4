import json
from dataclasses import dataclass

import pytest

import gridtwin
from gridtwin.cli import main


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        def refuse(name):
            raise ValueError(f"{name} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command line in this process."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        captured = capsys.readouterr()
        code = end.value.code
        return Outcome(0 if code is None else code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def trace(jobs, tmp_path_factory):
    """The made-up trace as canonical Parquet."""
    path = tmp_path_factory.mktemp("trace") / "jobs.parquet"
    gridtwin.write(jobs, path)
    return path


@pytest.fixture(scope="session")
def synthetic(jobs, tmp_path_factory):
    """Two samples of a model of it."""
    model = gridtwin.models.get("trace")(seed=0).fit(jobs)
    folder = tmp_path_factory.mktemp("synthetic")
    for seed in (1, 2):
        gridtwin.write(model.sample(seed=seed), folder / f"{seed}.parquet")
    return folder / "1.parquet", folder / "2.parquet"
