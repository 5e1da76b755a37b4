"""From a CSV of job records to the answer to a question: 20 % more jobs, and a larger machine."""

from pathlib import Path
from tempfile import TemporaryDirectory

import gridtwin

with TemporaryDirectory() as folder:
    # --8<-- [start:records]
    path = Path(folder) / "jobs.csv"
    gridtwin.write(gridtwin.examples.load("lublin", n=1500, seed=1), path)  # stands for your own
    jobs = gridtwin.read(path)
    print(jobs.provenance)
    # --8<-- [end:records]

    # --8<-- [start:learn]
    model = gridtwin.models.get("trace")(seed=0).fit(jobs)
    # --8<-- [end:learn]

    # --8<-- [start:ask]
    for rate, cores in ((1.0, 256), (1.2, 256), (1.2, 320)):
        waits = []
        for seed in range(5):
            sample = model.sample(seed=seed, rate=rate)
            run = gridtwin.simulate(sample, cores=cores, policy="easy")
            waits.append(run.summary()["mean_wait"] / 60)
        shown = ", ".join(f"{wait:.0f}" for wait in sorted(waits))
        print(f"{rate:g} times the jobs on {cores} cores: mean waits of {shown} min")
    # --8<-- [end:ask]
