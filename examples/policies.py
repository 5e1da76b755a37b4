"""Compare two ways of starting jobs on the same trace."""

import gridtwin

jobs = gridtwin.examples.load("lublin", n=2000, seed=1, load=0.6)
for policy in ("fcfs", "easy"):
    summary = gridtwin.simulate(jobs, cores=256, policy=policy).summary()
    print(policy, summary)
