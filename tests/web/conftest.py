"""A folder of runs, the server in this process, and the server in a process of its own."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the live page needs the extra web")
pytest.importorskip("httpx2", reason="requests to the server need httpx2")

import gridtwin
from gridtwin.web.app import make_app

TOKEN = "only-for-tests"


@pytest.fixture(scope="session")
def runs(jobs, tmp_path_factory) -> Path:
    """Two simulations, one with a report, a report of a hostile name, records, a link out."""
    root = tmp_path_factory.mktemp("served") / "RUNS"
    gridtwin.write(jobs, root / "jobs.parquet")
    for name in ("easy", "fcfs"):
        gridtwin.simulate(jobs, cores=128, policy=name).save(root / name)
    (root / "easy" / "report.html").write_text("<title>A report</title><script>1</script>")
    hostile = root / "<img src=x onerror=alert(1)>"
    hostile.mkdir()
    (hostile / "report.html").write_text("<p>hello</p>")
    outside = root.parent / "outside"
    shutil.copytree(root / "fcfs", outside)
    (root / "link").symlink_to(outside)
    (root / "fcfs" / "report.html").symlink_to(root / "easy" / "report.html")
    (root / ".hidden").mkdir()
    shutil.copy(root / "fcfs" / "summary.json", root / ".hidden")
    return root


@pytest.fixture(scope="session")
def token() -> str:
    """What the server of `client` prints."""
    return TOKEN


@pytest.fixture
def client(runs):
    """Asks a server that lets those who have the token run."""
    from starlette.testclient import TestClient

    with TestClient(make_app(runs, token=TOKEN), base_url="http://127.0.0.1:1234") as found:
        yield found


@pytest.fixture
def reader(runs):
    """Asks a server that only reads."""
    from starlette.testclient import TestClient

    with TestClient(make_app(runs), base_url="http://127.0.0.1:1234") as found:
        yield found


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen
    address: str
    token: str

    def children(self) -> list[int]:
        """Return the processes that it has started and that still are."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def stop(self) -> str:
        """Interrupt it; return what it said on stderr besides."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=30)[1]


@pytest.fixture
def server(runs):
    """``gridtwin serve RUNS --allow-run`` on a free port."""
    command = [sys.executable, "-m", "gridtwin", "serve", str(runs), "--port", "0", "--allow-run"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=os.environ.copy(), **pipes) as process:
        try:
            address = process.stdout.readline().strip()
            said = process.stderr.readline()
            found = re.fullmatch(r"token: (\S+)\n", said)
            assert found, said
            yield Server(process, address, found[1])
        finally:
            process.kill()
