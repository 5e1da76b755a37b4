"""What a table of jobs tells: small pure functions, table in, small frame out."""

from gridtwin.analysis.analyse import analyse
from gridtwin.analysis.base import Analysis, Kpi

__all__ = ["Analysis", "Kpi", "analyse"]
