"""Tasks of an `Executor` on a Ray cluster: one that runs already, or one started here."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from secrets import token_hex
from tempfile import gettempdir, mkdtemp
from threading import RLock
from typing import Any

from gridtwin.core._tasks import attempt_apart
from gridtwin.core.errors import MissingExtraError, WorkerLostError

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ImportError as error:
    raise MissingExtraError("the executor 'ray'", "Ray", "ray") from error

__all__ = ["join", "leave", "put", "tasks"]

LONGEST = 40
"""Letters of a temporary folder: with what Ray adds, a socket's path must stay below 108."""


@dataclass
class _Session:
    """The cluster of this process; `ray` itself knows but one."""

    users: int = 0
    ours: bool = False
    """Whether we connected, and so disconnect."""
    started: bool = False
    folder: str | None = None


_session = _Session()
_lock = RLock()


def join(workers: int, address: str | None) -> None:
    """Connect to a cluster, or start one here; every call wants its `leave`."""
    with _lock:
        if _session.users == 0 and not ray.is_initialized():
            _connect(workers, address or os.environ.get("RAY_ADDRESS") or None)
        _session.users += 1


def leave() -> None:
    """Disconnect after the last user; end the cluster if it was started here."""
    with _lock:
        _session.users -= 1
        if _session.users == 0 and _session.ours:
            ray.shutdown()
            _session.ours = _session.started = False
            if _session.folder is not None:
                shutil.rmtree(_session.folder, ignore_errors=True)
                _session.folder = None


def _connect(workers: int, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        place = gettempdir() if len(gettempdir()) <= LONGEST else "/tmp"
        _session.folder = mkdtemp(prefix="gt-", dir=place)
        # its ports are open to the network: Ray guards them by a token, which a process reads once;
        # one in the environment holds for all clusters that the process starts
        if "RAY_AUTH_TOKEN_PATH" not in os.environ:
            os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))
        ray.init(
            address="local",
            num_cpus=workers or None,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            _temp_dir=_session.folder,
        )
        _session.started = True
    else:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    _session.ours = True


@contextmanager
def tasks(
    fn: Callable[[Any], Any], workers: int, retries: int, address: str | None
) -> Iterator["_RayTasks"]:
    """Give a way to run `fn` on the cluster; tasks whose result nobody took are cancelled."""
    join(workers, address)
    try:
        handed = _RayTasks(fn, workers, retries)
        try:
            yield handed
        finally:
            for reference in handed.open:
                ray.cancel(reference)
    finally:
        leave()


@contextmanager
def put(value: Any, workers: int, address: str | None) -> Iterator[Callable[[], Any]]:  # noqa: ANN401
    """Put a value in the object store; give what loads it."""
    join(workers, address)
    try:
        yield partial(ray.get, ray.put(value))
    finally:
        leave()


class _RayTasks:
    def __init__(self, fn: Callable[[Any], Any], workers: int, retries: int) -> None:
        self.retries = retries
        cores = int(ray.cluster_resources().get("CPU", 1))
        # on a cluster of others, no more than `workers` may run; on our own, Ray sees to that
        self.most = 2 * (workers or cores) if _session.started or not workers else workers
        # the function goes over once; what it shares, as a reference
        self.fn = ray.put(fn)
        self.run = ray.remote(num_cpus=1, max_retries=retries)(attempt_apart)
        self.open: set[Any] = set()

    def submit(self, item: Any) -> Any:  # noqa: ANN401 - any item; a reference
        """Hand out an item."""
        reference = self.run.remote(self.fn, item)
        self.open.add(reference)
        return reference

    def result(self, item: Any, handle: Any) -> Any:  # noqa: ANN401
        """Return the outcome; Ray itself runs a task again whose process was lost."""
        self.open.discard(handle)
        try:
            return ray.get(handle)
        except RayTaskError:  # as when a worker cannot import the function
            raise
        except RayError as error:
            raise WorkerLostError(self.retries) from error
