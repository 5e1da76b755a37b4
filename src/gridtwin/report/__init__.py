"""Reports: one HTML file that opens without a network, and its charts as files."""

from gridtwin.report.export import save_figures
from gridtwin.report.html import write_report
from gridtwin.report.simulation import write_simulation_report
from gridtwin.report.study import write_study_report
from gridtwin.report.transfer import write_transfer_report

__all__ = [
    "save_figures",
    "write_report",
    "write_simulation_report",
    "write_study_report",
    "write_transfer_report",
]
