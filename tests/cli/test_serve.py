"""``gridtwin serve``: what it says and refuses; what it serves is tested in ``tests/web``."""

import signal
import socket
import subprocess
import sys

import pytest

pytest.importorskip("fastapi", reason="the live page needs the extra web")


def test_a_port_that_is_taken_is_told(run, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("serve", tmp_path, "--port", port)
    assert done.code == 1
    assert f"port {port} of 127.0.0.1 cannot be had" in done.err
    assert done.out == ""


def test_a_folder_that_is_not_there_is_wrong_usage(run, tmp_path):
    assert run("serve", tmp_path / "none").code == 2


@pytest.mark.slow
def test_without_leave_to_run_there_is_no_token(tmp_path):
    command = [sys.executable, "-m", "gridtwin", "serve", str(tmp_path), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert process.stdout.readline().startswith("http://127.0.0.1:")
            assert process.stderr.readline() == "stop with Ctrl-C\n"
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert said == ""
    assert process.returncode in (0, 130)
