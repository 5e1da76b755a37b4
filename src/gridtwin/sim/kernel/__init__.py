"""The event kernels: arrays in, arrays out, no random numbers, no files."""

from gridtwin.sim.kernel.compute import CHOOSE, run_jobs

__all__ = ["CHOOSE", "run_jobs"]
