"""Whole studies: records in, a folder of results out."""

from gridtwin.study.loop import Loop, run_loop, side_by_side

__all__ = ["Loop", "run_loop", "side_by_side"]
