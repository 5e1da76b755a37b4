"""Choose sites by expected completion or by PanDA's weights, and plan many jobs at once."""

import numpy as np

import gridtwin
from gridtwin.policy.batch_brokerage import Instance, makespan, sufferage
from gridtwin.policy.optimal import least
from gridtwin.policy.panda_weights import Counts, Panda, production_weights
from gridtwin.sim import Platform, Site

jobs = gridtwin.examples.load("lublin", n=300, seed=1)
platform = Platform((Site.of("fast", 256, 4e9), Site.of("large", 512, 2e9)))
for broker in ("power_of_two", "mct", "panda_production"):
    result = gridtwin.simulate(jobs, platform=platform, policy="fcfs", broker=broker, seed=1)
    print(f"{broker:16} mean wait {result.summary()['mean_wait']:.0f} s")

# PanDA's weights of two sites for a job of 1 TB, all of which the first has
counts = Counts(
    running=np.array([90.0, 400.0]),
    activated=np.array([80.0, 20.0]),
    assigned=np.array([5.0, 40.0]),
)
weights = production_weights(
    counts,
    total=1e12,
    local=np.array([1e12, 0.0]),
    files_to_move=np.array([0.0, 120.0]),
    rule=Panda(queue_ratio=3.0),
)
print(weights.frame(["A", "B"]))

# forty jobs at four sites, seconds
rng = np.random.default_rng(0)
instance = Instance.of(rng.lognormal(8.0, 1.0, (40, 4)))
plan = least(instance, time_limit=2.0, gap=0.01)
print(f"sufferage {makespan(instance, sufferage(instance)):.0f} s, bound {plan.bound:.0f} s")
