"""What jobs ask for and do: columns drawn one after the other from rows in the same leaf."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.models.encoding.relations import AT_LIMIT, cpu_time, run_time
from gridtwin.models.tracing.balance import choose
from gridtwin.models.tracing.training import ATOM, Training, asked
from gridtwin.models.trees.forest import LeafForest
from gridtwin.models.whatif.conditions import Share
from gridtwin.models.whatif.donors import Groups, draw_donors, split

__all__ = ["Draft", "Drafts", "grow"]

Values = dict[str, NDArray[np.float64]]
Source = dict[str, NDArray[np.int32]]


class Draft(NamedTuple):
    """Jobs under way: what the trees see of them, and the training rows drawn so far."""

    X: NDArray[np.float32]
    used: NDArray[np.int32]
    """First the row whose place the job takes, then the rows of each column."""
    source: Source
    groups: Groups | None
    """Who may give values to whom, where not everybody may."""


def grow(
    training: Training, rng: np.random.Generator, *, trees: int, leaf: int, fraction: float
) -> dict[str, LeafForest]:
    """Return the trees of each column that is drawn: they see the place and the columns before it.

    What is known at submit has a quarter of the `leaf`.
    """
    context, axes = training.context(), training.axes()
    forests = {}
    for i, name in enumerate(training.drawn):
        forests[name] = LeafForest.grow(
            np.column_stack([context, *(axes[other] for other in training.drawn[:i])]),
            training.targets(name, axes[name], rng),
            rng,
            trees=trees,
            leaf=max(1, leaf // 4) if asked(name) else leaf,
            fraction=fraction,
        )
    return forests


@dataclass(frozen=True)
class Drafts:
    """Draws jobs for the places of training jobs."""

    training: Training
    forests: dict[str, LeafForest]
    context: NDArray[np.float32]
    axes: dict[str, NDArray[np.float32]]
    leaf: int
    blur: float
    memory: float

    def begin(self, rows: NDArray[np.int64], allowed: NDArray[np.bool_] | None) -> Draft:
        """Return jobs in the places of these rows; only the rows that are `allowed` give values."""
        groups = None if allowed is None else Groups.of(allowed, len(rows))
        return Draft(self.context[rows], rows[:, None].astype(np.int32), {}, groups)

    def share(
        self,
        shares: Sequence[Share],
        exact: Sequence[NDArray[np.int64]],
        draft: Draft,
        rng: np.random.Generator,
    ) -> Draft:
        """Decide which jobs get the values of which so many are asked for, `exact`.

        What is known of a job before says how likely each value is for it: its place and, for what
        becomes of it, what it asked for. The columns after that are drawn given the value.
        """
        drawn = self.training.drawn
        steps = []
        for share, counts in zip(shares, exact, strict=True):
            early = asked(self.training.leaders.get(share.column, share.column))
            until = next(i for i, name in enumerate(drawn) if asked(name) == early)
            steps.append((until, share, counts))
        for until, share, counts in sorted(steps, key=lambda step: step[0]):
            draft = self._draw(drawn[len(draft.source) : until], draft, rng)
            X = np.column_stack([self.context, *(self.axes[name] for name in drawn[:until])])
            assert draft.groups is not None
            groups = split(draft.groups, share, counts, (X, draft.X), self.leaf, rng)
            draft = draft._replace(groups=groups)
        return draft

    def finish(
        self, draft: Draft, times: NDArray[np.float64], rng: np.random.Generator
    ) -> pl.DataFrame:
        """Draw the columns that a draft does not have yet; return all columns of its jobs.

        Of two drafts of what the jobs do, the one is taken that keeps the work submitted at
        `times` on its course.
        """
        training, rows = self.training, draft.used[:, 0]
        drawn, width = training.drawn, training.width
        cut = drawn.index("run_time") if "run_time" in drawn and width else len(drawn)
        draft = self._draw(drawn[len(draft.source) : cut], draft, rng)
        values = self._values(self._draw(drawn[cut:], draft, rng), rng)
        if cut < len(drawn) and width:
            other = self._values(self._draw(drawn[cut:], draft, rng), rng)
            one, two = (np.nan_to_num(d["run_time"] * d[width]) for d in (values, other))
            target = training.number("run_time")[rows] * training.number(width)[rows]
            second = choose((one, two), target, times, self.memory)
            values = {name: np.where(second, other[name], values[name]) for name in values}
        out = [column.give(values[name]) for name, column in training.columns.items()]
        out += [column.give(column.values[rows]) for column in training.keys.values()]
        return pl.DataFrame([pl.Series("submit_time", times), *out])

    def _draw(self, names: list[str], draft: Draft, rng: np.random.Generator) -> Draft:
        """Draw some columns, one after the other; return the draft with them."""
        X, used, source = draft.X, draft.used, dict(draft.source)
        for name in names:
            source[name] = draw_donors(self.forests[name], X, rng, used, draft.groups)
            X = np.column_stack([X, self.axes[name][source[name]]])
            used = np.column_stack([used, source[name]])
        return draft._replace(X=X, used=used, source=source)

    def _values(self, draft: Draft, rng: np.random.Generator) -> Values:
        """Return the values of all columns of a finished draft."""
        own, source = draft.used[:, 0], dict(draft.source)
        for name in self.training.columns:
            source.setdefault(name, source.get(self.training.leaders.get(name, ""), own))
        values = {name: c.values[source[name]] for name, c in self.training.columns.items()}
        self._blur(values, source, rng)
        self._relate(values, source)
        return values

    def _blur(self, values: Values, source: Source, rng: np.random.Generator) -> None:
        """Spread drawn numbers that hardly repeat in training, keeping their sign.

        Of a job that was stopped at its limit, only the seconds beside the limit are spread.
        """
        for name in self.training.drawn:
            column = self.training.columns[name]
            if column.vocabulary is not None or column.discrete:
                continue
            found, count = np.unique(column.values, return_counts=True)
            loose = ~np.isin(values[name], found[count >= ATOM])
            factor = np.where(loose, np.exp(rng.normal(0.0, self.blur, len(loose))), 1.0)
            base = np.zeros(len(loose))
            if name == "run_time" and "walltime_req" in values:
                limit = self.training.columns["walltime_req"].values[source[name]]
                base = np.where(values[name] >= AT_LIMIT * limit, limit, 0.0)
            values[name] = base + (values[name] - base) * factor

    def _relate(self, values: Values, source: Source) -> None:
        """Fit run times to requests and cpu times to cores and run times; restore granularity."""
        columns = self.training.columns
        if "run_time" in values and "walltime_req" in values:
            limit = columns["walltime_req"].values[source["run_time"]]
            values["run_time"] = run_time(values["run_time"], limit, values["walltime_req"])
        cores = next((c for c in ("cores_alloc", "cores_req") if c in values), None)
        if "cpu_time" in values and "run_time" in values and cores:
            rows = source["cpu_time"]
            donor = columns[cores].values[rows] * columns["run_time"].values[rows]
            own = values[cores] * values["run_time"]
            values["cpu_time"] = cpu_time(values["cpu_time"], donor, own)
        for name, unit in self.training.units.items():
            values[name] = np.round(values[name] / unit) * unit
