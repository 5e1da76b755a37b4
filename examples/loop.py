"""Read, learn, generate, judge and simulate: the loop in Python, on the embedded example."""

import gridtwin

jobs = gridtwin.examples.load("lublin", n=1500, seed=1)
model = gridtwin.models.get("trace")(seed=0).fit(jobs)
synthetic = model.sample(seed=2)

evaluation = gridtwin.evaluate(train=jobs, synthetic=synthetic)
for row in evaluation.rows:
    print(f"{row.metric:32} {row.synthetic}")

for name, trace in (("real", jobs), ("synthetic", synthetic)):
    result = gridtwin.simulate(trace, cores=256, policy="easy")
    print(name, result.summary())
