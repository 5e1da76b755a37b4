"""Whole studies: records in, a folder of results out."""

from gridtwin.study.loop import Loop, Samples, run_loop, side_by_side

__all__ = ["Loop", "Samples", "run_loop", "side_by_side"]
