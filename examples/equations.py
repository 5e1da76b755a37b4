"""Two files over one link: the equations by hand, and the simulator."""

import numpy as np
import polars as pl

import gridtwin
from gridtwin.sim import Link, Platform, Site
from gridtwin.trace import JobTable

# --8<-- [start:hand]
size, bandwidth, latency = 1e9, 125e6, 0.010  # 1 GB each, 1 Gbit/s, 10 ms
window = 4194304 / (2 * latency)  # what TCP's window allows one flow
share = bandwidth / (2 * 1.05)  # each of two flows also crosses back, with 5 %
rate = 0.97 * min(share, window)
by_hand = 13.01 * latency + size / rate
print(f"by hand: {by_hand:.6f} s")
# --8<-- [end:hand]

# --8<-- [start:simulated]
jobs = JobTable.from_frame(
    pl.DataFrame(
        {
            "job_id": ["1", "2"],
            "submit_time": [0.0, 0.0],
            "run_time": [60.0, 60.0],
            "cores_req": [1, 1],
            "input_bytes": [size, size],
            "dataset": ["a", "b"],
        }
    )
)
platform = Platform(
    (Site("store"), Site.of("farm", 2, 1e9)),
    (Link("wan", bandwidth, latency, ends=("store", "farm")),),
)
run = gridtwin.simulate(jobs, platform=platform, policy="fcfs", origin="store")
print(run.transfers.select("job_id", "start", "end"))
assert np.allclose(run.transfers["end"], by_hand, rtol=0, atol=1e-9)
# --8<-- [end:simulated]
