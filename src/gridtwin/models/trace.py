"""The trace model: generates a trace, not rows. The default of gridtwin."""

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.models.base import State, Surrogate
from gridtwin.models.encoding.columns import (
    FLOOR,
    Column,
    granularity,
    leaders,
    made_up,
    read_columns,
)
from gridtwin.models.encoding.relations import (
    AT_LIMIT,
    cpu_time,
    run_time,
    with_offsets,
    without_offsets,
)
from gridtwin.models.tracing.balance import choose
from gridtwin.models.tracing.sessions import Sessions
from gridtwin.models.trees.forest import LeafForest
from gridtwin.models.trees.holdout import Choice, Privacy, choose_leaf, wanted
from gridtwin.models.whatif import WhatIf
from gridtwin.models.whatif.conditions import Conditions, Share, quota
from gridtwin.models.whatif.donors import Groups, draw_donors, split
from gridtwin.models.whatif.places import draw_places, resize
from gridtwin.trace import TraceSchema

__all__ = ["Trace"]

_NOT_DRAWN = ("job_id", "parent_id", "task_id", "submit_time", "start_time", "end_time", "user")
_OWN = ("user", "task_id", "group", "vo")
"""Who sends the job and what for: as in the place that it takes."""
_WHOSE = {"user": FLOOR, "group": FLOOR, "dataset": FLOOR, "task_id": np.inf}
"""Names that could tell whose job it was: those of fewer rows than this are made up."""
_WIDTHS = ("cores_req", "cores_alloc", "gpus_req", "nodes_req", "nodes_alloc")
"""The size of a job is the first of these that the trace has."""
_ATOM = 5
"""A number that occurs this often in training is kept as it is."""
CHUNK = 500_000
"""Jobs sampled at a time; memory is bounded by the output plus this many rows of features."""


class _Draft(NamedTuple):
    """Jobs under way: what the trees see of them, and the training rows drawn so far."""

    X: NDArray[np.float32]
    used: NDArray[np.int32]
    """First the row whose place the job takes, then the rows of each column."""
    source: dict[str, NDArray[np.int32]]
    groups: Groups | None
    """Who may give values to whom, where not everybody may."""


class Trace(Surrogate):
    """Arrivals by user sessions, attributes by trees that know when and who.

    1. *When and who*: the sessions of the training trace are moved and their gaps re-drawn
       (`gridtwin.models.tracing.sessions`); each job imitates the place of one training job.
    2. *What*: the columns are drawn one after the other, those known at submit first. A column's
       trees see the time, the hour, the user, his group and the columns already drawn, and no
       more: what a tree sees besides a row's own columns draws its donors from farther away in
       those. The value comes from another training row in the same leaf
       (`gridtwin.models.trees.forest`), hence atoms (powers of two, round wall times) stay atoms;
       one tree over all rows uses each of them about once, where rows used several times would
       show as clumps. Of two drafts of what a job does, the one is taken that keeps the work
       submitted on its course.
    3. *Relations* hold by construction: columns that another determines follow it; the run time
       is drawn relative to the requested one and passes it only as real jobs did; cpu time scales
       with cores and run time; start = submit + wait and end = start + run.

    Names of users, groups and data sets of fewer than five jobs are replaced by made-up ones, task
    numbers all. The saved model holds the training rows, in pieces: share samples, not the model.
    Memory: about 150 bytes a training row and column.

    Parameters
    ----------
    trees
        Trees a column.
    leaf
        Smallest number of training rows in a leaf: smaller is closer to the rows, larger more
        private. A quarter of it for what is known at submit, which decides the queues and hardly
        tells rows apart.
    fraction
        Part of the rows that a tree sees.
    session_gap
        Seconds without a job after which a user's session has ended.
    shift
        Standard deviation in seconds by which a session moves.
    gap_width
        How far a gap's rank among its user's gaps may move, as a fraction of their number.
    blur
        Relative standard deviation by which drawn numbers that do not repeat are spread, so that
        they are not copies.
    memory
        Seconds over which the work submitted follows that of the training trace
        (`gridtwin.models.tracing.balance`).
    privacy
        ``fixed``: the leaf as given. ``auto``: the smallest at which samples do not lean towards
        the training rows, chosen on an internal hold-out (`gridtwin.models.trees.holdout`; three
        fits more). What was chosen is in `leaf_` and `choice_`, and in the saved ``model.json``.
    """

    ranges: ClassVar[dict[str, tuple[float, float]]] = {
        "trees": (1, 1000),
        "leaf": (1, 1_000_000_000),
        "fraction": (1e-6, 1.0),
        "session_gap": (1e-6, np.inf),
        "shift": (0.0, 1e9),
        "gap_width": (0.0, 1.0),
        "blur": (0.0, 1.0),
        "memory": (1e-6, np.inf),
    }

    def __init__(
        self,
        *,
        seed: int = 0,
        trees: int = 1,
        leaf: int = 20,
        fraction: float = 1.0,
        session_gap: float = 3600.0,
        shift: float = 7200.0,
        gap_width: float = 0.05,
        blur: float = 0.01,
        memory: float = 172_800.0,
        privacy: Privacy = "fixed",
    ) -> None:
        super().__init__(seed=seed)
        self.trees = trees
        self.leaf = leaf
        self.fraction = fraction
        self.session_gap = session_gap
        self.shift = shift
        self.gap_width = gap_width
        self.blur = blur
        self.memory = memory
        self.privacy = privacy

    def _fit(self, frame: pl.DataFrame, rng: np.random.Generator) -> None:
        auto = wanted(self.privacy)
        self.leaf_ = self.leaf
        self.choice_: Choice | None = None
        plain, frame = frame, with_offsets(frame, self.name)
        if auto:
            timed = plain.filter(pl.col("submit_time").is_finite())
            self.choice_ = choose_leaf(self._with_leaf, timed, rng, self.leaf)
            self.leaf_ = self.choice_.leaf
        self._n_ = frame.height
        known = ("submit", "start", "end")
        fields = [f for f in TraceSchema.canonical() if f.name in frame.columns]
        names = [f.name for f in sorted(fields, key=lambda f: known.index(f.known))]
        self.columns_ = {
            c.name: c
            for c in read_columns(frame, [n for n in names if n not in (*_NOT_DRAWN, *_OWN)])
        }
        keys = read_columns(frame, [n for n in _OWN if n in frame.columns])
        self.keys_ = {c.name: c for c in keys}
        hidden = rng.spawn(1)[0]
        for columns in (self.keys_, self.columns_):
            columns.update({n: _disguised(c, hidden) for n, c in columns.items() if n in _WHOSE})
        user = self.keys_["user"].codes() if "user" in self.keys_ else np.zeros(frame.height)
        submit = frame["submit_time"].to_numpy().astype(np.float64)
        self.sessions_ = Sessions.learn(submit, user.astype(np.int32), self.session_gap)
        self.unit_ = granularity(submit)
        numbers = [c for c in self.columns_.values() if c.vocabulary is None]
        units = {c.name: granularity(c.values) for c in numbers}
        self.units_ = {name: unit for name, unit in units.items() if unit}
        self._follow(rng)

    def _with_leaf(self, leaf: int) -> "Trace":
        """Return an unfitted model of the same parameters but for the leaf."""
        return Trace(**self.parameters() | {"leaf": leaf, "privacy": "fixed"})

    def _follow(self, rng: np.random.Generator) -> None:
        """Decide which columns follow another and grow the trees of those that do not."""
        all_columns = [*self.keys_.values(), *self.columns_.values()]
        all_columns = [c for c in all_columns if c.name != "task_id"]
        self.leaders_ = leaders(all_columns, fixed="user")
        self.drawn_ = [
            name
            for name, column in self.columns_.items()
            if name not in self.leaders_ and len(np.unique(column.codes())) > 1
        ]
        context, axes = self._context(), self._axes()
        self.forests_ = {}
        for i, name in enumerate(self.drawn_):
            X = np.column_stack([context, *(axes[other] for other in self.drawn_[:i])])
            self.forests_[name] = LeafForest.grow(
                X,
                self._targets(name, axes[name], rng),
                rng,
                trees=self.trees,
                leaf=max(1, self.leaf_ // 4) if _asked(name) else self.leaf_,
                fraction=self.fraction,
            )

    def _axes(self) -> dict[str, NDArray[np.float32]]:
        """Return each column on the axis on which the trees split it."""
        by = np.log1p(self._or_zero("run_time"))
        return {name: column.axis(by) for name, column in self.columns_.items()}

    def _or_zero(self, name: str) -> NDArray[np.float64]:
        """Return a column's numbers, 0 where missing; all 0 if there is no such column."""
        column = self.columns_.get(name)
        return np.zeros(self._n_) if column is None else np.nan_to_num(column.values)

    def _width(self) -> NDArray[np.float64] | None:
        """Return the size of each job, in whatever the trace counts it."""
        return next((self._or_zero(name) for name in _WIDTHS if name in self.columns_), None)

    def _context(self) -> NDArray[np.float32]:
        """Return what is known of each training row from its place: (n, features)."""
        submit, user = self.sessions_.submit, self.sessions_.user
        count = np.bincount(user)
        features = [submit - submit[0], submit / 3600.0 % 24.0]
        width = self._width()
        for by in (self._or_zero("run_time"), np.zeros(len(user)) if width is None else width):
            mean = np.bincount(user, np.log1p(by)) / np.maximum(count, 1)
            features.append(np.argsort(np.argsort(mean, kind="stable"))[user])
        features.append(np.argsort(np.argsort(count, kind="stable"))[user])
        by = np.log1p(self._or_zero("run_time"))
        features += [c.axis(by) for c in self.keys_.values() if c.name in ("group", "vo")]
        return np.column_stack(features).astype(np.float32)

    def _targets(
        self, name: str, axis: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return what the trees of a column predict: (n, targets), each of about unit variance.

        Numbers: log, rank and linear scale (the last one keeps the heavy tail together). Values
        that repeat: eight random projections of their indicators, whose summed variance stands
        for the Gini index at the cost of eight columns (Johnson-Lindenstrauss). Run time: also
        its share of the requested time and whether it was stopped there.
        """
        column = self.columns_[name]
        targets = []
        if column.vocabulary is None:
            linear = np.nan_to_num(column.values)
            targets += [_standard(axis), _rank(axis), _standard(linear)]
        if column.discrete:
            codes = column.codes()
            points = rng.normal(size=(codes.max() + 1, 8))
            rare = np.bincount(codes) < max(_ATOM, self._n_ / 1500)
            points[rare] = 0.0
            spread = points[codes] - points[codes].mean(axis=0)
            weight = 1.5 if column.vocabulary is not None else 0.5
            targets += list((weight * spread / (spread.std() + 1e-12)).T)
        if name == "run_time" and "walltime_req" in self.columns_:
            limit = self._or_zero("walltime_req")
            share = np.where(limit > 0, np.nan_to_num(column.values) / np.maximum(limit, 1), -1)
            targets += [_rank(share), _standard(share >= AT_LIMIT)]
        if name == "run_time" and (width := self._width()) is not None:
            targets.append(_standard(np.nan_to_num(column.values) * width))
        return np.column_stack(targets).astype(np.float64)

    def _sample(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        rows, moves = self.sessions_.plan(n, rng)
        times = self.sessions_.times(rows, moves, rng, shift=self.shift, width=self.gap_width)
        return self._trace(rows, times, rng)

    def _sample_if(self, n: int | None, rng: np.random.Generator, asked: WhatIf) -> pl.DataFrame:
        """Return the jobs of another trace: places first, then rows that fit the conditions.

        A condition holds by construction: places are those of training jobs that meet it, and so
        are the rows that give values.
        """
        conditions = Conditions.read(asked, self._n_, self.keys_ | self.columns_, self._placed)
        own = np.flatnonzero(conditions.allowed)
        submit, user = self.sessions_.submit, self.sessions_.user
        sessions = Sessions.learn(submit[own], user[own], self.session_gap)
        plan = draw_places(submit[own], (submit[0], submit[-1]), asked, n, rng)
        usual = n
        if n is None:
            seen = max(submit[-1] - submit[0], 1.0)
            usual = len(plan.rows) or max(1, round(len(own) * np.diff(plan.span)[0] / seen))
        parts = conditions.placed and replace(conditions.placed, row=conditions.placed.row[own])
        count = round(asked.rate * (usual or 0))
        users = "user" in self.keys_
        plan, added, kept = resize(plan, sessions, parts, count, rng, users=users)
        times = sessions.times(
            plan.rows,
            plan.moves,
            rng,
            shift=self.shift,
            width=self.gap_width,
            layer=plan.layer,
            added=added,
            span=(plan.span[0], max(plan.span[0], plan.span[1] - self.unit_)),
        )
        return self._trace(own[plan.rows[kept]], times[kept], rng, conditions)

    def _placed(self, name: str) -> bool:
        """Whether a job has the column from the place that it takes."""
        drawn = name in self.drawn_ or self.leaders_.get(name) in self.drawn_
        return name in self.keys_ or not drawn

    def _trace(
        self,
        rows: NDArray[np.int64],
        times: NDArray[np.float64],
        rng: np.random.Generator,
        conditions: Conditions | None = None,
    ) -> pl.DataFrame:
        """Draw jobs that stand in the places of the training `rows`, submitted at `times`."""
        if self.unit_:
            times = np.round(times / self.unit_) * self.unit_
        order = np.argsort(times, kind="stable")
        rows, times = rows[order], times[order]
        n = len(rows)
        context, axes = self._context(), self._axes()
        shares = conditions.drawn if conditions else ()
        left = [quota(share.shares, n) for share in shares]
        parts = []
        for i in range(0, max(n, 1), CHUNK):
            some = slice(i, i + CHUNK)
            exact = [quota(counts, len(rows[some])) for counts in left]
            left = [counts - now for counts, now in zip(left, exact, strict=True)]
            draft = _Draft(context[rows[some]], rows[some, None].astype(np.int32), {}, None)
            if conditions:
                draft = draft._replace(groups=Groups.of(conditions.allowed, len(draft.X)))
                draft = self._shared(shares, exact, draft, context, axes, rng)
            parts.append(self._rows(draft, times[some], axes, rng))
        frame = pl.concat(parts).with_columns(job_id=pl.int_range(1, n + 1).cast(pl.String))
        return without_offsets(frame, self._columns_)

    def _shared(
        self,
        shares: tuple[Share, ...],
        exact: list[NDArray[np.int64]],
        draft: "_Draft",
        context: NDArray[np.float32],
        axes: dict[str, NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> "_Draft":
        """Decide which jobs get the values of which so many are asked for, `exact`.

        What is known of a job before says how likely each value is for it: its place and, for what
        becomes of it, what it asked for. The columns after that are drawn given the value.
        """
        steps = []
        for share, counts in zip(shares, exact, strict=True):
            asked = _asked(self.leaders_.get(share.column, share.column))
            until = next(i for i, name in enumerate(self.drawn_) if _asked(name) == asked)
            steps.append((until, share, counts))
        for until, share, counts in sorted(steps, key=lambda step: step[0]):
            draft = self._draw(self.drawn_[len(draft.source) : until], draft, axes, rng)
            X = np.column_stack([context, *(axes[name] for name in self.drawn_[:until])])
            groups = split(
                cast("Groups", draft.groups), share, counts, (X, draft.X), self.leaf_, rng
            )
            draft = draft._replace(groups=groups)
        return draft

    def _rows(
        self,
        draft: "_Draft",
        times: NDArray[np.float64],
        axes: dict[str, NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> pl.DataFrame:
        """Draw the columns that a draft does not have yet; return all columns of its jobs."""
        rows = draft.used[:, 0]
        weighed = "run_time" in self.drawn_ and self._width() is not None
        cut = self.drawn_.index("run_time") if weighed else len(self.drawn_)
        draft = self._draw(self.drawn_[len(draft.source) : cut], draft, axes, rng)
        drafts = [
            self._values(self._draw(self.drawn_[cut:], draft, axes, rng), rng)
            for _ in range(2 if weighed else 1)
        ]
        values = drafts[0]
        if weighed:
            names = next(name for name in _WIDTHS if name in self.columns_)
            work = [np.nan_to_num(d["run_time"] * d[names]) for d in drafts]
            target = self._or_zero("run_time")[rows] * self._or_zero(names)[rows]
            second = choose((work[0], work[1]), target, times, self.memory)
            values = {n: np.where(second, drafts[1][n], drafts[0][n]) for n in values}
        out = [column.give(values[name]) for name, column in self.columns_.items()]
        out += [column.give(column.values[rows]) for column in self.keys_.values()]
        return pl.DataFrame([pl.Series("submit_time", times), *out])

    def _draw(
        self,
        names: list[str],
        draft: "_Draft",
        axes: dict[str, NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> "_Draft":
        """Draw some columns, one after the other; return the draft with them."""
        X, used, source = draft.X, draft.used, dict(draft.source)
        for name in names:
            source[name] = draw_donors(self.forests_[name], X, rng, used, draft.groups)
            X = np.column_stack([X, axes[name][source[name]]])
            used = np.column_stack([used, source[name]])
        return draft._replace(X=X, used=used, source=source)

    def _values(self, draft: "_Draft", rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Return the values of all columns of a finished draft."""
        own, source = draft.used[:, 0], dict(draft.source)
        for name in self.columns_:
            source.setdefault(name, source.get(self.leaders_.get(name, ""), own))
        values = {name: c.values[source[name]] for name, c in self.columns_.items()}
        self._blur(values, source, rng)
        self._relate(values, source)
        return values

    def _blur(
        self,
        values: dict[str, NDArray[np.float64]],
        source: dict[str, NDArray[np.int32]],
        rng: np.random.Generator,
    ) -> None:
        """Spread drawn numbers that hardly repeat in training, keeping their sign.

        Of a job that was stopped at its limit, only the seconds beside the limit are spread.
        """
        for name in self.drawn_:
            column = self.columns_[name]
            if column.vocabulary is not None or column.discrete:
                continue
            found, count = np.unique(column.values, return_counts=True)
            loose = ~np.isin(values[name], found[count >= _ATOM])
            factor = np.where(loose, np.exp(rng.normal(0.0, self.blur, len(loose))), 1.0)
            base = np.zeros(len(loose))
            if name == "run_time" and "walltime_req" in values:
                asked = self.columns_["walltime_req"].values[source[name]]
                base = np.where(values[name] >= AT_LIMIT * asked, asked, 0.0)
            values[name] = base + (values[name] - base) * factor

    def _relate(
        self, values: dict[str, NDArray[np.float64]], source: dict[str, NDArray[np.int32]]
    ) -> None:
        """Fit run times to requests and cpu times to cores and run times; restore granularity."""
        if "run_time" in values and "walltime_req" in values:
            asked = self.columns_["walltime_req"].values[source["run_time"]]
            fitted = run_time(values["run_time"], asked, values["walltime_req"])
            values["run_time"] = fitted
        cores = next((c for c in ("cores_alloc", "cores_req") if c in values), None)
        if "cpu_time" in values and "run_time" in values and cores:
            rows = source["cpu_time"]
            donor = self.columns_[cores].values[rows] * self.columns_["run_time"].values[rows]
            own = values[cores] * values["run_time"]
            values["cpu_time"] = cpu_time(values["cpu_time"], donor, own)
        for name, unit in self.units_.items():
            values[name] = np.round(values[name] / unit) * unit

    def _state(self) -> State:
        arrays = self.sessions_.to_arrays()
        for column in [*self.columns_.values(), *self.keys_.values()]:
            arrays |= column.to_arrays()
        for name, forest in self.forests_.items():
            arrays |= forest.to_arrays(f"forest.{name}")
        meta = {
            "columns": list(self.columns_),
            "keys": list(self.keys_),
            "drawn": self.drawn_,
            "leaders": self.leaders_,
            "units": self.units_,
            "unit": self.unit_,
            "leaf": self.leaf_,
            "privacy": self.choice_ and self.choice_.to_json(),
            "holds_training_rows": True,
        }
        return meta, arrays

    def _restore(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.columns_ = {name: Column.from_arrays(name, arrays) for name in meta["columns"]}
        self.keys_ = {name: Column.from_arrays(name, arrays) for name in meta["keys"]}
        self.drawn_, self.leaders_ = meta["drawn"], meta["leaders"]
        self.units_, self.unit_ = meta["units"], meta["unit"]
        self.leaf_ = meta["leaf"]
        self.choice_ = Choice.from_json(meta["privacy"])
        self.sessions_ = Sessions.from_arrays(arrays)
        self.forests_ = {
            name: LeafForest.from_arrays(f"forest.{name}", arrays) for name in meta["drawn"]
        }


def _asked(name: str) -> bool:
    """Whether a column is known at submit."""
    return TraceSchema.canonical()[name].known == "submit"


def _standard(values: NDArray[Any]) -> NDArray[np.float64]:
    values = values.astype(np.float64)
    return np.asarray((values - values.mean()) / (values.std() + 1e-12))


def _rank(values: NDArray[Any]) -> NDArray[np.float64]:
    return _standard(np.argsort(np.argsort(values, kind="stable")))


def _disguised(column: Column, rng: np.random.Generator) -> Column:
    """Return a column of names with made-up ones for those that could tell whose job it was."""
    if column.vocabulary is None:
        return column
    known = column.values[~np.isnan(column.values)].astype(np.int64)
    count = np.bincount(known, minlength=len(column.vocabulary))
    names = made_up(column.vocabulary, count, column.name, rng, _WHOSE[column.name])
    return replace(column, vocabulary=names)
