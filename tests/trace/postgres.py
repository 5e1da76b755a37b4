"""A PostgreSQL server of a test's own: started, told apart by its log, stopped or killed."""

import os
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

PATIENCE = 300
"""Seconds after which a machine, however busy, counts as stuck."""


def binaries():
    """Return the folder of the newest server's programs, None if there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def unprivileged():
    """Return what to put before a command: the server refuses to run as root."""
    if os.geteuid():
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


class Cluster:
    """A fresh database cluster, from which servers are made by copying; user ``tester``."""

    def __init__(self, password):
        self.folder = Path(tempfile.mkdtemp(prefix="gridtwin-pg-"))  # where another user may look
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        word = self.folder / "password"
        word.write_text(password + "\n")
        word.chmod(0o644)
        self.run(
            *(binaries() / "initdb", "-D", self.folder / "fresh", "-U", "tester", "--no-sync"),
            *("-A", "scram-sha-256", f"--pwfile={word}", "--locale=C", "--encoding=UTF8"),
        )

    def run(self, *words):
        call = [*unprivileged(), *map(str, words)]
        subprocess.run(call, check=True, capture_output=True, cwd=self.folder)

    def start(self, name):
        """Return a server with a copy of the data; the port may be taken by then: try again."""
        self.run("cp", "-a", "fresh", name)
        for _ in range(10):
            server = Server(self.folder, name)
            if server.wait("ready to accept connections"):
                return server
            server.stop()
        raise RuntimeError(f"the PostgreSQL server does not start:\n{server.said}")


class Server:
    """A running server; its log is read as it comes, so that nothing is asked again and again."""

    def __init__(self, folder, name):
        self.data, self.said = folder / name, ""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.data,
            "log_line_prefix": "%p ",
            "lc_messages": "C",
            "fsync": "off",
            "dynamic_shared_memory_type": "mmap",  # in the folder: goes with it
        }
        options = [word for item in settings.items() for word in ("-c", "{}={}".format(*item))]
        self.process = subprocess.Popen(
            [*unprivileged(), binaries() / "postgres", "-D", self.data, *options],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=folder,
        )
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)  # no process has the log open any more

    def wait(self, words):
        """Return the number of the process that logs these words; None if all end before."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.said += line
            if words in line:
                return int(line.split()[0])
        return None

    def stop(self):
        """End what still runs, without saving anything but giving everything back."""
        self.process.send_signal(signal.SIGQUIT)  # does nothing to a process that has ended
        self._gone()

    def kill(self):
        """End all processes of the server at once, as a loss of power would."""
        pid = self.process.pid
        self.process.send_signal(signal.SIGSTOP)  # it starts no other process from here on
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            os.kill(one, signal.SIGKILL)
        self._gone()
        # the block of shared memory that the server gives back only if it ends by itself
        memory = (self.data / "postmaster.pid").read_text().split("\n")[6].split()[1]
        subprocess.run(["ipcrm", "-m", memory], check=True)

    def _gone(self):
        self.process.wait(timeout=PATIENCE)
        self._reader.join(timeout=PATIENCE)
        assert not self._reader.is_alive(), "a process of the server is left"
        self.process.stderr.close()
