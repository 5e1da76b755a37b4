"""Read, learn, generate, judge and simulate: the loop in Python, on the embedded example."""

from pathlib import Path
from tempfile import TemporaryDirectory

# --8<-- [start:jobs]
import gridtwin

jobs = gridtwin.examples.load("lublin", n=1500, seed=1)
print(jobs.collect().head())
print(jobs.provenance)
# --8<-- [end:jobs]

# --8<-- [start:model]
model = gridtwin.models.get("trace")(seed=0).fit(jobs)
synthetic = model.sample(seed=2)
# --8<-- [end:model]

with TemporaryDirectory() as folder:
    path = Path(folder)
    # --8<-- [start:save]
    model.save(path / "model")
    again = gridtwin.models.load(path / "model").sample(seed=2)
    assert again.collect().equals(synthetic.collect())
    gridtwin.write(synthetic, path / "synthetic.swf.gz")
    # --8<-- [end:save]

# --8<-- [start:evaluate]
evaluation = gridtwin.evaluate(train=jobs, synthetic=synthetic)
for row in evaluation.rows:
    print(f"{row.metric:32} {row.synthetic} {row.train_copy}")
# --8<-- [end:evaluate]

# --8<-- [start:simulate]
for name, trace in (("real", jobs), ("synthetic", synthetic)):
    for policy in ("fcfs", "easy"):
        result = gridtwin.simulate(trace, cores=256, policy=policy)
        print(name, policy, result.summary())
# --8<-- [end:simulate]
