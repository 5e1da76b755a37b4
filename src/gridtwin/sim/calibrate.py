"""Fit what a platform does not say to the records of its sites, and judge it on later records."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridtwin.core.errors import FormatError, InputError
from gridtwin.core.files import writing
from gridtwin.sim.assemble import Rules
from gridtwin.sim.build import from_records
from gridtwin.sim.calibration.caps import user_caps
from gridtwin.sim.calibration.judge import Score, judge
from gridtwin.sim.calibration.losses import Loss, blocks_of, measured
from gridtwin.sim.calibration.records import Records, records_of
from gridtwin.sim.calibration.search import Known, forward, optuna, profile, simplest, total
from gridtwin.sim.calibration.settings import PARAMETERS, Setting, Value, guessed, parameters_of
from gridtwin.sim.calibration.trial import run_trial, with_setting
from gridtwin.sim.platform import Platform
from gridtwin.trace import JobTable

__all__ = ["PARAMETERS", "Calibration", "Setting", "SiteFit", "calibrate"]

_FEWEST = 30
"""A site with fewer jobs to fit on keeps the default setting."""
_LEAD = 0.05
"""Share of the fitted span whose jobs only fill the queue: the records begin in its midst."""
_FORMAT = 1


@dataclass(frozen=True)
class SiteFit:
    """What was found of one site."""

    site: str
    jobs: int
    """That it was fitted on."""
    setting: Setting
    loss: float | None
    """See `gridtwin.sim.calibration.losses.Loss`; so `default`. None: no job to fit on."""
    default: float | None
    """Loss of the default setting."""
    caps: dict[str, int] = field(default_factory=dict)
    """Cores that single users seem to be held to; in force where the setting says so."""
    known: tuple[Known, ...] = ()
    """How well the records tell each fitted parameter; empty without profiles."""
    note: str = ""


@dataclass(frozen=True)
class Calibration:
    """Settings of sites, and how they did on the later jobs."""

    platform: Platform
    """With the usable cores and bandwidths."""
    given: Platform
    """As it was before."""
    sites: tuple[SiteFit, ...]
    scores: tuple[Score, ...]
    split: float
    """Submission (s) from which on jobs were judged."""
    trials: int
    seed: int
    stated: bool = True
    """Whether the cores of the platform are known, not only those seen in use."""
    origin: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    """Jobs of the whole table that could not be run, by reason."""

    @property
    def rules(self) -> Rules:
        """Delays and pilots by site, for `gridtwin.simulate`; the rest is in `predict` only."""
        return Rules(
            dispatch={fit.site: fit.setting.dispatch for fit in self.sites},
            pilot={fit.site: fit.setting.pilot for fit in self.sites},
        )

    def predict(self, jobs: JobTable, *, seed: int | None = None) -> pl.DataFrame:
        """Return job_id, site, wait and wall (s) of jobs at their own sites under the settings."""
        parts = []
        for fit in self.sites:
            records = records_of(
                jobs, self.given, fit.site, stated=self.stated, origin=self.origin or None
            )
            if records is None:
                continue
            records = replace(records, caps=fit.caps)
            out = run_trial(records, fit.setting, self.seed if seed is None else seed)
            parts.append(
                pl.DataFrame(
                    {
                        "job_id": records.job_id,
                        "site": pl.repeat(fit.site, len(records), eager=True),
                        "wait": out.wait,
                        "wall": out.wall,
                    }
                )
            )
        schema = {"job_id": pl.String, "site": pl.String, "wait": pl.Float64, "wall": pl.Float64}
        return pl.concat(parts) if parts else pl.DataFrame(schema=schema)

    def table(self) -> pl.DataFrame:
        """Return the scores as a frame, one row for each site, quantity and kind of distance."""
        rows = [asdict(score) for score in self.scores]
        return pl.DataFrame(rows) if rows else pl.DataFrame()

    def settings(self) -> pl.DataFrame:
        """Return site, parameter, value, what is compatible with it, and whether it is told."""
        names = ("site", "parameter", "value", "compatible", "told")
        rows = []
        for fit in self.sites:
            for known in fit.known:
                told = "not told" if known.flat else "yes"
                some = _range(known)
                value = (fit.site, known.name, _text(known.value), some, told)
                rows.append(dict(zip(names, value, strict=True)))
        return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))

    def to_dict(self) -> dict[str, Any]:
        """Return all but the platforms as texts, numbers, lists and dicts."""
        plain = {"split", "trials", "seed", "stated", "origin", "left_out"}
        return {
            "format": _FORMAT,
            **{name: getattr(self, name) for name in sorted(plain)},
            "sites": [asdict(fit) for fit in self.sites],
            "scores": [asdict(score) for score in self.scores],
        }

    def save(self, folder: Path | str) -> None:
        """Write ``calibration.json``, ``platform.toml`` and ``given.toml`` to a folder."""
        folder = Path(folder)
        with writing(folder / "calibration.json") as path:
            path.write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")
        self.platform.save(folder / "platform.toml")
        self.given.save(folder / "given.toml")

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read what `save` wrote."""
        folder = Path(folder)
        path = folder / "calibration.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found.pop("format") != _FORMAT:
                raise FormatError(f"{path}: expected format {_FORMAT}; calibrate again")
            sites = tuple(_site_fit(fit) for fit in found.pop("sites"))
            scores = tuple(Score(**_tuples(score)) for score in found.pop("scores"))
            found["origin"] = tuple(found["origin"])
            return cls(
                platform=Platform.load(folder / "platform.toml"),
                given=Platform.load(folder / "given.toml"),
                sites=sites,
                scores=scores,
                **found,
            )
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise FormatError(f"{path} is no calibration: {error}; calibrate again") from error


def calibrate(
    jobs: JobTable,
    platform: Platform | None = None,
    *,
    free: Collection[str] | None = None,
    start: Setting | None = None,
    train: float = 0.7,
    trials: int = 400,
    profiles: int = 10,
    origin: str | Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Calibration:
    """Fit each site to its records of the first part of the time, and judge it on the rest.

    Speeds of sites are found in closed form (`gridtwin.sim.builders.relative_speeds`); all else by
    Optuna, for each site alone: jobs run at their own sites, and links are not shared with others.

    Parameters
    ----------
    jobs
        Needs submit time, size, and run time, and a start or a wait of some jobs. With ``site`` and
        ``cpu_time``, wall times and CPU efficiencies are fitted and judged too.
    platform
        None: the sites of the earlier jobs, see `gridtwin.sim.builders.from_records`.
    free
        Names of `PARAMETERS` to fit; None: all that the records can tell something of.
    start
        The setting where the search begins, and the values of what is not free.
    train
        Share of the time, from the first submission to the last, that is fitted on. The judged run
        begins with the first job all the same, so that the queue at the split is the model's own.
    trials
        Of the search, for each site.
    profiles
        Trials for each of six values of a parameter, for how well it is told; 0: none.
    origin
        Nodes from which jobs read their ``input_bytes``; matters on platforms with links only.
    progress
        Called with each site's name.

    Raises
    ------
    SchemaError, InputError
        Where the records lack times, sizes, waits or sites, or an option is out of bounds.
    MissingExtraError
        Without Optuna.

    Memory: 500 bytes for each job of the table, and the workload's for a site at a time.
    """
    optuna()
    _check(jobs, train=train, trials=trials, profiles=profiles)
    frame = jobs.collect()
    submit = frame["submit_time"].drop_nulls()
    first, last = float(submit.min()), float(submit.max())  # type: ignore[arg-type]
    split = first + train * (last - first)
    early = jobs.with_frame(frame.filter(pl.col("submit_time") < split))
    if not len(early) or first == last:
        raise InputError("all jobs are submitted at once; a split in time needs a span")
    stated = platform is not None or jobs.provenance.machine_cores is not None
    given = from_records(early) if platform is None else platform
    nodes = (origin,) if isinstance(origin, str) else tuple(origin or ())
    start = start or Setting()
    fits, scores = [], []
    left_out: dict[str, int] = {}
    for site in given.names:
        if progress is not None:
            progress(site)
        whole = records_of(jobs, given, site, stated=stated, origin=nodes or None)
        part = records_of(early, given, site, stated=stated, origin=nodes or None)
        if whole is None or part is None:
            continue
        part = replace(part, caps=user_caps(part, split))
        whole = replace(whole, caps=part.caps)
        for reason, count in whole.left_out:
            left_out[reason] = left_out.get(reason, 0) + count
        fit = _fit(part, split, free, start, trials=trials, profiles=profiles, seed=seed)
        fits.append(fit)
        scores += _judge(whole, part, fit, start, split, seed)
    if "site" in frame.columns and len(given.sites) > 1:
        elsewhere = int((~frame["site"].is_in(given.names)).fill_null(True).sum())
        left_out |= {"at no site of the platform": elsewhere} if elsewhere else {}
    if not fits:
        raise InputError(
            f"no job ran at a site of the platform ({', '.join(given.names[:5])}...) in the first "
            "part; give the platform of these records, or none"
        )
    return Calibration(
        platform=_calibrated(given, fits),
        given=given,
        sites=tuple(fits),
        scores=tuple(scores),
        split=split,
        trials=trials,
        seed=seed,
        stated=stated,
        origin=nodes,
        left_out=left_out,
    )


def _check(jobs: JobTable, *, train: float, trials: int, profiles: int) -> None:
    if not 0 < train < 1:
        raise InputError(f"train: expected a share of the time between 0 and 1, got {train}")
    if trials < 1 or profiles < 0:
        raise InputError(f"expected trials from 1 and profiles from 0, got {trials} and {profiles}")
    jobs.require("submit_time", for_what="a calibration")
    told = [name for name in ("start_time", "wait_time") if name in jobs]
    if not told or all(jobs.collect([name])[name].null_count() == len(jobs) for name in told):
        raise InputError(
            "no job has a start or a wait, so that there is no queue to calibrate on; read records "
            "with start_time or wait_time"
        )


class _Objective:
    """The loss of a site's settings; remembers the last runs."""

    def __init__(
        self, records: Records, loss: Loss, start: Setting, split: float, seed: int
    ) -> None:
        self.weights = loss.weights

        @lru_cache(maxsize=100)
        def run(values: tuple[tuple[str, Value], ...]) -> NDArray[np.float64]:
            setting = start.with_values(dict(values))
            return loss(measured(records, run_trial(records, setting, seed), split))

        self._run = run

    def __call__(self, values: dict[str, Value]) -> NDArray[np.float64]:
        return self._run(tuple(sorted(values.items())))


def _fit(
    records: Records,
    split: float,
    free: Collection[str] | None,
    start: Setting,
    *,
    trials: int,
    profiles: int,
    seed: int,
) -> SiteFit:
    """Fit one site on the records before the split."""
    submit = records.work.submit
    judged = submit >= submit[0] + _LEAD * (split - submit[0])
    judged &= np.isfinite(records.wait)
    count = int(judged.sum())
    if not count:
        return SiteFit(records.site, 0, start, None, None, note="no job with a wait to fit on")
    loss = Loss.of(measured(records, until=split), blocks_of(submit, judged)[0])
    parameters = parameters_of(records, free)
    objective = _Objective(records, loss, start, split, seed)
    default = total(objective, {})
    if count < _FEWEST:
        note = f"only {count} jobs with a wait to fit on: the default setting is kept"
        return SiteFit(records.site, count, start, default, default, note=note)
    if not parameters:
        return SiteFit(records.site, count, start, default, default, note="nothing to fit")
    initial = start.to_dict()
    starts = [initial, guessed(records, start)]
    best = forward(parameters, objective, starts, trials=trials, seed=seed)
    neutral = {p.name: initial[p.name] for p in parameters}
    best = simplest(objective, best, neutral, seed=seed)
    value = total(objective, best)
    known: list[Known] = []
    if profiles:
        known = profile(parameters, objective, best, trials=profiles, seed=seed)
    setting = start.with_values(best)
    return SiteFit(records.site, count, setting, value, default, dict(records.caps), tuple(known))


def _judge(
    whole: Records, part: Records, fit: SiteFit, start: Setting, split: float, seed: int
) -> list[Score]:
    """Run all jobs of a site and judge the later ones."""
    runs = tuple(
        measured(whole, run_trial(whole, setting, seed)) for setting in (fit.setting, start)
    )
    later = whole.work.submit >= split
    real, earlier = measured(whole), measured(part)
    return judge(fit.site, whole.work.submit, later, real, (runs[0], runs[1]), earlier, seed)


def _calibrated(given: Platform, fits: list[SiteFit]) -> Platform:
    """Return the platform with the sites' usable cores; a link has its sites' median factor."""
    settings = {fit.site: fit.setting for fit in fits}
    sites = []
    for site in given.sites:
        setting = settings.get(site.name)
        one = site if setting is None else with_setting(Platform((site,)), setting).sites[0]
        sites.append(one)
    links = given.links
    if links:
        factor = float(np.median([s.bandwidth for s in settings.values()]))
        links = tuple(replace(link, bandwidth=link.bandwidth * factor) for link in links)
    notes = (*given.notes, "cores and bandwidths: calibrated, see calibration.json")
    return replace(given, sites=tuple(sites), links=links, notes=notes)


def _range(known: Known) -> str:
    if any(isinstance(value, str) for value in known.compatible):
        return ", ".join(str(value) for value in known.compatible)
    return f"{_text(known.compatible[0])} to {_text(known.compatible[-1])}"


def _text(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _site_fit(found: dict[str, Any]) -> SiteFit:
    known = tuple(
        Known(
            name=k["name"],
            value=k["value"],
            points=tuple((p[0], p[1]) for p in k["points"]),
            compatible=tuple(k["compatible"]),
        )
        for k in found["known"]
    )
    return SiteFit(**(found | {"setting": Setting(**found["setting"]), "known": known}))


def _tuples(found: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
