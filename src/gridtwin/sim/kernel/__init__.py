"""The event kernels: arrays in, arrays out, no random numbers, no files."""

from gridtwin.sim.kernel.compute import CHOOSE, run_jobs
from gridtwin.sim.kernel.jit import compiled

__all__ = ["CHOOSE", "compiled", "run_jobs"]
