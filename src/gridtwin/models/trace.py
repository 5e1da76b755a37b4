"""The trace model: generates a trace, not rows. The default of gridtwin."""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.models.base import State, Surrogate
from gridtwin.models.encoding.relations import with_offsets, without_offsets
from gridtwin.models.tracing.drafts import Drafts, grow
from gridtwin.models.tracing.sessions import Sessions
from gridtwin.models.tracing.training import Training
from gridtwin.models.trees.forest import LeafForest
from gridtwin.models.trees.holdout import Choice, Privacy, choose_leaf, wanted
from gridtwin.models.whatif import WhatIf
from gridtwin.models.whatif.conditions import Conditions, quota
from gridtwin.models.whatif.places import draw_places, resize

__all__ = ["Trace"]

CHUNK = 500_000
"""Jobs sampled at a time; memory is bounded by the output plus this many rows of features."""


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
        self.training_ = Training.learn(frame, self.session_gap, rng)
        self.forests_ = grow(
            self.training_, rng, trees=self.trees, leaf=self.leaf_, fraction=self.fraction
        )

    def _with_leaf(self, leaf: int) -> "Trace":
        """Return an unfitted model of the same parameters but for the leaf."""
        return Trace(**self.parameters() | {"leaf": leaf, "privacy": "fixed"})

    def _sample(self, n: int, rng: np.random.Generator) -> pl.DataFrame:
        sessions = self.training_.sessions
        rows, moves = sessions.plan(n, rng)
        times = sessions.times(rows, moves, rng, shift=self.shift, width=self.gap_width)
        return self._trace(rows, times, rng)

    def _sample_if(self, n: int | None, rng: np.random.Generator, asked: WhatIf) -> pl.DataFrame:
        """Return the jobs of another trace: places first, then rows that fit the conditions.

        A condition holds by construction: places are those of training jobs that meet it, and so
        are the rows that give values.
        """
        training = self.training_
        conditions = Conditions.read(
            asked, len(training), training.keys | training.columns, training.placed
        )
        own = np.flatnonzero(conditions.allowed)
        submit, user = training.sessions.submit, training.sessions.user
        sessions = Sessions.learn(submit[own], user[own], self.session_gap)
        plan = draw_places(submit[own], (submit[0], submit[-1]), asked, n, rng)
        usual = n
        if n is None:
            seen = max(submit[-1] - submit[0], 1.0)
            usual = len(plan.rows) or max(1, round(len(own) * np.diff(plan.span)[0] / seen))
        parts = conditions.placed and replace(conditions.placed, row=conditions.placed.row[own])
        count = round(asked.rate * (usual or 0))
        users = "user" in training.keys
        plan, added, kept = resize(plan, sessions, parts, count, rng, users=users)
        times = sessions.times(
            plan.rows,
            plan.moves,
            rng,
            shift=self.shift,
            width=self.gap_width,
            layer=plan.layer,
            added=added,
            span=(plan.span[0], max(plan.span[0], plan.span[1] - training.unit)),
        )
        return self._trace(own[plan.rows[kept]], times[kept], rng, conditions)

    def _trace(
        self,
        rows: NDArray[np.int64],
        times: NDArray[np.float64],
        rng: np.random.Generator,
        conditions: Conditions | None = None,
    ) -> pl.DataFrame:
        """Draw jobs that stand in the places of the training `rows`, submitted at `times`."""
        training = self.training_
        if training.unit:
            times = np.round(times / training.unit) * training.unit
        order = np.argsort(times, kind="stable")
        rows, times = rows[order], times[order]
        n = len(rows)
        drafts = Drafts(
            training,
            self.forests_,
            training.context(),
            training.axes(),
            self.leaf_,
            self.blur,
            self.memory,
        )
        shares, allowed = (conditions.drawn, conditions.allowed) if conditions else ((), None)
        left = [quota(share.shares, n) for share in shares]
        parts = []
        for i in range(0, max(n, 1), CHUNK):
            some = slice(i, i + CHUNK)
            exact = [quota(counts, len(rows[some])) for counts in left]
            left = [counts - now for counts, now in zip(left, exact, strict=True)]
            draft = drafts.begin(rows[some], allowed)
            draft = drafts.share(shares, exact, draft, rng)
            parts.append(drafts.finish(draft, times[some], rng))
        frame = pl.concat(parts).with_columns(job_id=pl.int_range(1, n + 1).cast(pl.String))
        return without_offsets(frame, self._columns_)

    def _state(self) -> State:
        arrays = self.training_.to_arrays()
        for name, forest in self.forests_.items():
            arrays |= forest.to_arrays(f"forest.{name}")
        meta = self.training_.to_json() | {
            "leaf": self.leaf_,
            "privacy": self.choice_ and self.choice_.to_json(),
            "holds_training_rows": True,
        }
        return meta, arrays

    def _restore(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        self.training_ = Training.from_arrays(meta, arrays)
        self.leaf_ = meta["leaf"]
        self.choice_ = Choice.from_json(meta["privacy"])
        self.forests_ = {
            name: LeafForest.from_arrays(f"forest.{name}", arrays) for name in meta["drawn"]
        }
