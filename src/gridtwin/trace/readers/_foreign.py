"""Files that lie beside job records and are none: say what they are instead of guessing."""

from pathlib import Path

from gridtwin.trace.readers._json import names_jobs
from gridtwin.trace.readers._text import header

__all__ = ["why_not"]


def why_not(path: Path, head: str) -> str | None:
    """Return what a file is and why it has no job records, None if it may have some."""
    name = path.name.removesuffix(".gz")
    columns = set(header(head))
    start = head.lstrip()[:200].lower()
    if name.endswith(".machines"):
        return "it lists machines (id, name, nodes, CPUs per node, speed, memory), not jobs"
    if start.startswith(("{", "[")) and not names_jobs(head):
        return "it is JSON, such as a description of sites or links; give PanDA's jobs or a table"
    if start.startswith(("<!doctype html", "<html")):
        return "it is a web page; fetch the file itself"
    if start.startswith("<"):
        return "it is XML, such as the description of a platform; give a table of jobs"
    if {"cpu_milli", "pod_phase"} <= columns:
        return (
            "it lists Kubernetes pods (Alibaba openb) by shares of a GPU, from a time origin that "
            "is not stated, without a requested time; such pods are no batch jobs"
        )
    if {"sn", "cpu_milli", "model"} <= columns:
        return "it lists the nodes of a GPU cluster (Alibaba openb), not jobs"
    return None
