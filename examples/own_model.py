"""Add a model: how to learn from job records, draw, save and restore."""

# --8<-- [start:model]
from typing import Any

import numpy as np
import polars as pl

from gridtwin.models import Surrogate
from gridtwin.models.base import State


class Urn(Surrogate):
    """Each column drawn from that of the jobs, by itself: what every better model must beat."""

    def __init__(self, *, seed: int = 0, most: int = 10_000) -> None:
        super().__init__(seed=seed)
        self.most = most

    def _fit(self, frame: pl.DataFrame, rng: np.random.Generator) -> None:
        kept = frame.drop("job_id", strict=False)
        self.urn_ = kept.sample(min(self.most, kept.height), seed=int(rng.integers(2**31)))

    def _sample(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        height = self.urn_.height
        drawn = [column.gather(rng.integers(height, size=n)) for column in self.urn_]
        ids = pl.int_range(n, eager=True).cast(pl.String).alias("job_id")
        return pl.DataFrame([ids, *drawn]).sort("submit_time")

    def _state(self) -> State:
        return {"urn": self.urn_.to_dict(as_series=False)}, {}

    def _restore(self, meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        self.urn_ = pl.DataFrame(meta["urn"])


# --8<-- [end:model]
# --8<-- [start:use]
import gridtwin  # noqa: E402

jobs = gridtwin.examples.load("lublin", n=1000, seed=1)
synthetic = Urn(seed=0).fit(jobs).sample(seed=2)
evaluation = gridtwin.evaluate(train=jobs, synthetic=synthetic, groups=("marginal", "detection"))
for row in evaluation.rows:
    print(f"{row.metric:12} {row.synthetic}")
# --8<-- [end:use]
