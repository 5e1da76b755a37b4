"""Slurm accounting: ``sacct -P`` text, and the numeric job table of the MIT SuperCloud log.

sacct: https://slurm.schedmd.com/sacct.html; columns are bound by name. SuperCloud: Samsi et al.,
HPEC 2021; its ids are rounded to six digits, so that rows are numbered instead.
"""

from pathlib import Path

from gridtwin.trace.readers import Scan, _sacct, _slurmdb
from gridtwin.trace.readers._text import head, header

__all__ = ["scan", "sniff"]


def sniff(path: Path, start: str) -> bool:
    """Tell whether the header is that of ``sacct -P`` or of Slurm's own job table."""
    return _slurmdb.is_mine(header(start)) or _sacct.is_mine(header(start, "|"))


def scan(path: Path) -> Scan:
    """Read the jobs; rows of job steps are counted as such, their memory is given to the job."""
    return _slurmdb.scan(path) if _slurmdb.is_mine(header(head(path))) else _sacct.scan(path)
