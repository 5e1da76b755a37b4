"""Reports: one HTML file that opens without a network, and its charts as files."""

from gridtwin.report.export import save_figures
from gridtwin.report.html import write_report

__all__ = ["save_figures", "write_report"]
