"""Whole studies: records in, a folder of results out."""

from gridtwin.study.benchmark import Benchmark, Contender, benchmark
from gridtwin.study.folder import Folder
from gridtwin.study.loop import Loop, Samples, run_loop, side_by_side
from gridtwin.study.spec import Scenario, Spec

__all__ = [
    "Benchmark",
    "Contender",
    "Folder",
    "Loop",
    "Samples",
    "Scenario",
    "Spec",
    "benchmark",
    "run_loop",
    "side_by_side",
]
