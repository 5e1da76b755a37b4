"""Whole studies: records in, a folder of results out."""

from gridtwin.study.benchmark import Benchmark, Contender, benchmark
from gridtwin.study.loop import Loop, Samples, run_loop, side_by_side

__all__ = ["Benchmark", "Contender", "Loop", "Samples", "benchmark", "run_loop", "side_by_side"]
