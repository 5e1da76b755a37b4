"""Whole studies: records in, a folder of results out."""

from gridtwin.study.loop import Loop, run_loop

__all__ = ["Loop", "run_loop"]
