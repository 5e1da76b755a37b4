"""The frames that come with the PanDA-like example, column by column.

They have the names of their sources (Rucio traces, PanDA's file table, Rucio's transfer messages),
so that what reads them reads real exports too. Ids are text, times are seconds UTC, sizes bytes.

``jobs``
    A `JobTable`; ``remote_bytes`` is the truth: the bytes of the input files that the job read
    from another site than its own (classes *remote copy*, *remote direct*, and *cache* where the
    origin is another site). 0 for jobs that never started.
``traces`` (method A; one row per access of a file, sorted by ``timeStart``)
    uuid, eventType (get_sm_a: a user job reads; put_sm_a: it writes), eventVersion, protocol
    (root, davs, file), clientState (DONE: copied; FOUND_ROOT: direct; anything else: not read),
    stateReason (OK, direct_access, …), localSite, remoteSite (RSE of the source), pq (the queue),
    appid (= job_id), taskid (= task_id), usr, scope, filename, dataset, filesize, timeStart,
    transferStart, timeEnd. Some accesses have no row, some have a failed row before the good one.
``files`` (PanDA's filesTable4)
    pandaid (= job_id), jeditaskid (= task_id), scope, lfn, dataset, type (input, output, log),
    fsize, status (ready, finished, failed), attemptnr.
``transfers`` (method B; Rucio requests, one row each, sorted by ``created_at``)
    request_id, request_type (TRANSFER, STAGEIN), activity, scope, name, dataset, bytes, src_rse,
    dst_rse, src_type (DISK, TAPE), created_at, submitted_at, started_at, transferred_at, state
    (D done, F failed), reason, account. Most have nothing to do with any job of the table.
``replicas`` (method C; replicas of whole datasets with the time they were there)
    scope, dataset, rse, site, rse_type (DISK, TAPE), state (A available: all files; U: some are
    missing), length (files of the dataset), available_length, bytes, created_at, deleted_at (null:
    still there).
``rses``
    rse, site, rse_type: the site of each storage end point.
``truth`` (one row per input file of a job that started)
    job_id, scope, lfn, bytes, site, source_site, access (`ACCESS`), remote (counts in
    ``remote_bytes``).
``incidents``
    site, begin, end, kind (storage, network, batch), codes (list of "component:code"), severity
    (probability that a job caught in it fails).
"""

from dataclasses import dataclass

import polars as pl

from gridtwin.trace.access import ACCESS
from gridtwin.trace.table import JobTable

__all__ = ["ACCESS", "FRAMES", "Traces"]


_S, _F, _I = pl.String(), pl.Float64(), pl.Int64()

FRAMES: dict[str, dict[str, pl.DataType]] = {
    "traces": {
        "uuid": _S,
        "eventType": _S,
        "eventVersion": _S,
        "protocol": _S,
        "clientState": _S,
        "stateReason": _S,
        "localSite": _S,
        "remoteSite": _S,
        "pq": _S,
        "appid": _S,
        "taskid": _S,
        "usr": _S,
        "scope": _S,
        "filename": _S,
        "dataset": _S,
        "filesize": _I,
        "timeStart": _F,
        "transferStart": _F,
        "timeEnd": _F,
    },
    "files": {
        "pandaid": _S,
        "jeditaskid": _S,
        "scope": _S,
        "lfn": _S,
        "dataset": _S,
        "type": _S,
        "fsize": _I,
        "status": _S,
        "attemptnr": _I,
    },
    "transfers": {
        "request_id": _S,
        "request_type": _S,
        "activity": _S,
        "scope": _S,
        "name": _S,
        "dataset": _S,
        "bytes": _I,
        "src_rse": _S,
        "dst_rse": _S,
        "src_type": _S,
        "created_at": _F,
        "submitted_at": _F,
        "started_at": _F,
        "transferred_at": _F,
        "state": _S,
        "reason": _S,
        "account": _S,
    },
    "replicas": {
        "scope": _S,
        "dataset": _S,
        "rse": _S,
        "site": _S,
        "rse_type": _S,
        "state": _S,
        "length": _I,
        "available_length": _I,
        "bytes": _I,
        "created_at": _F,
        "deleted_at": _F,
    },
    "rses": {"rse": _S, "site": _S, "rse_type": _S},
    "truth": {
        "job_id": _S,
        "scope": _S,
        "lfn": _S,
        "bytes": _I,
        "site": _S,
        "source_site": _S,
        "access": _S,
        "remote": pl.Boolean(),
    },
    "incidents": {
        "site": _S,
        "begin": _F,
        "end": _F,
        "kind": _S,
        "codes": pl.List(_S),
        "severity": _F,
    },
}
"""The columns and types of each frame beside the jobs."""


@dataclass(frozen=True)
class Traces:
    """Jobs and what other systems recorded of their data; the columns are in `FRAMES`."""

    jobs: JobTable
    traces: pl.DataFrame
    files: pl.DataFrame
    transfers: pl.DataFrame
    replicas: pl.DataFrame
    rses: pl.DataFrame
    truth: pl.DataFrame
    incidents: pl.DataFrame
