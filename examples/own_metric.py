"""Add a metric: a function of two job tables, whose docstring is its definition."""

# --8<-- [start:metric]
import polars as pl

from gridtwin.metrics import Score, metric
from gridtwin.trace import JobTable


@metric("top_users", goal="min", group="marginal", on="rows")
def top_users(real: JobTable, synthetic: JobTable, *, top: int = 5) -> Score:
    """Difference of the shares of jobs that the five busiest users have, each table's own five."""
    if not {"user"} <= set(real.columns) & set(synthetic.columns):
        return Score.none("a table has no users")
    shares = []
    for table in (real, synthetic):
        counts = table.frame.group_by("user").agg(pl.len()).collect()["len"].sort(descending=True)
        shares.append(float(counts.head(top).sum() / max(1, len(table))))
    return Score(abs(shares[0] - shares[1]), detail={"real": shares[0], "synthetic": shares[1]})


# --8<-- [end:metric]
# --8<-- [start:use]
import gridtwin  # noqa: E402

jobs = gridtwin.examples.load("lublin", n=1000, seed=1)
synthetic = gridtwin.models.get("trace")(seed=0).fit(jobs).sample(seed=2)
print(top_users(jobs, synthetic))
for row in gridtwin.evaluate(train=jobs, synthetic=synthetic, groups=("marginal",)).rows:
    print(f"{row.metric:12} {row.synthetic}")
# --8<-- [end:use]
