"""From PanDA records to the table that is learnt from: selection, features, workload, retries."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from gridtwin.core.errors import UnknownNameError
from gridtwin.trace import tables
from gridtwin.trace.chains import last_attempts, retries
from gridtwin.trace.datasets import is_daod
from gridtwin.trace.schema import TraceSchema
from gridtwin.trace.table import JobTable

__all__ = [
    "DEFAULT_POWER",
    "PAPER",
    "Funnel",
    "Step",
    "Workload",
    "features",
    "last_attempts",
    "retries",
    "select",
    "work",
]

Workload = Literal["work", "work_occupancy", "work_paper"]

DEFAULT_POWER = 10.0
"""HS23 per core that PanDA takes for a queue of which it knows none."""
PAPER = (
    "submit_time",
    "queue",
    "project",
    "prodstep",
    "datatype",
    "input_files",
    "input_bytes",
    "work",
    "status",
)
"""The features of a user job that papers on surrogates of the grid's workload learn from."""

_FINAL = ("finished", "failed", "closed", "cancelled")
_FORMULAS: dict[Workload, str] = {
    "work": "core power x CPU time",
    "work_occupancy": "core power x cores x run time",
    "work_paper": "cores x core power x CPU time (counts cores twice)",
}
_TYPES = {"id": "identifier", "category": "categorical", "number": "numerical", "time": "time"}


@dataclass(frozen=True)
class Step:
    """One step of a selection."""

    step: str
    rows_in: int
    rows_out: int
    reason: str
    """Why rows were left out, or why the step could not be taken."""


@dataclass(frozen=True)
class Funnel:
    """The steps of a selection, in order: each step's rows out are the next one's rows in."""

    steps: tuple[Step, ...]

    def frame(self) -> pl.DataFrame:
        """Return a row for each step: step, rows_in, rows_out, reason."""
        schema = {"step": pl.String, "rows_in": pl.Int64, "rows_out": pl.Int64, "reason": pl.String}
        rows = [(s.step, s.rows_in, s.rows_out, s.reason) for s in self.steps]
        return pl.DataFrame(rows, schema=schema, orient="row")


def select(
    jobs: JobTable,
    *,
    daod: bool = True,
    builds: bool = False,
    merges: bool = False,
    groups: bool = True,
) -> tuple[JobTable, Funnel]:
    """Return the jobs of user analysis in a final state, and how many each step left.

    The steps: what the reader kept; user analysis by the labels (never by the queue's name);
    without tests; run jobs alone; without group analysis, if asked for; derived data (DAOD)
    alone; in a final state; work that was created anew elsewhere once. A step whose column the
    table does not have is not taken, and says so.

    Parameters
    ----------
    daod
        Only jobs that read derived analysis data.
    builds, merges
        Keep the jobs that build users' code, or merge their outputs.
    groups
        Keep group analysis: jobs of users for a working group.
    """
    col, have = pl.col, set(jobs.columns)
    run = ["user", *["build"] * builds, *["merge"] * merges]
    again = col("raw_status").str.contains(r"^closed:.*toreassign")
    rules: list[tuple[str, str, pl.Expr, str]] = [
        ("user analysis", "activity", col("activity") != "production", "production"),
        ("known activity", "activity", col("activity").is_not_null(), "labels say no activity"),
        ("no tests", "activity", col("activity") != "test", "HammerCloud and other tests"),
        ("run jobs", "activity", col("activity").is_in(run), "build and merge jobs"),
        ("derived data", "datatype", is_daod("datatype"), "input is not DAOD, or not known"),
        ("final state", "status", col("status").is_in(_FINAL), "not finished yet, or no status"),
        ("counted once", "raw_status", ~again, "closed and created anew elsewhere"),
    ]
    if not groups:
        rules.insert(4, ("single users", "group", col("group").is_null(), "group analysis"))
    rules = [rule for rule in rules if daod or rule[0] != "derived data"]
    # nulls fail a rule only where it asks for a value
    passes = [
        (good.fill_null(value=step in ("user analysis", "no tests", "counted once")))
        if column in have
        else pl.lit(value=True)
        for step, column, good, _ in rules
    ]
    so_far = [pl.all_horizontal(passes[: i + 1]) for i in range(len(passes))]
    counts = jobs.frame.select(
        pl.len().alias("all"), *(good.sum().alias(f"{i}") for i, good in enumerate(so_far))
    )
    rows = list(counts.collect(engine="streaming").row(0))
    steps = _read(jobs, rows[0])
    for (step, column, _, why), before, after in zip(rules, rows, rows[1:], strict=False):
        reason = why if before != after else "none left out"
        if column not in have:
            reason = f"not applied: the table has no column {column!r}"
        steps.append(Step(step, before, after, reason))
    kept = jobs.frame.filter(so_far[-1])
    notes = [f"Selected: {s.step}, {s.rows_in} to {s.rows_out} jobs ({s.reason})." for s in steps]
    return jobs.with_frame(kept, *notes[len(steps) - len(rules) :]), Funnel(tuple(steps))


def _read(jobs: JobTable, rows: int) -> list[Step]:
    """Return the step of the reader, if the table has just the rows that it kept."""
    origin = jobs.provenance
    if not origin.rows_read or origin.rows_read - sum(origin.dropped.values()) != rows:
        return []
    reasons = ", ".join(f"{reason}: {count}" for reason, count in origin.dropped.items())
    return [Step("records read", origin.rows_read, rows, reasons or "all are good")]


def features(jobs: JobTable, columns: tuple[str, ...] | None = None) -> pl.DataFrame:
    """Return the table of features: feature, type, unit, unique (values), missing (jobs), jobs.

    All columns of the table, or these; those that the table does not have are left out (`PAPER`
    names the nine of the papers). A missing value is no unique one.
    """
    fields = [f for f in jobs.schema if columns is None or f.name in columns]
    texts = [f.name for f in fields if f.dtype == "list"]
    frame = jobs.frame.select(f.name for f in fields).with_columns(
        pl.col(name).list.sort().list.join(" ") for name in texts
    )
    # one column after another: distinct values of all at once would not fit with many jobs
    rows = []
    for f in fields:
        value = pl.col(f.name)
        counts = frame.select(
            value.drop_nulls().n_unique(),
            value.null_count().alias("_missing"),
            pl.len().alias("_n"),
        )
        unique, missing, n = counts.collect(engine="streaming").row(0)
        rows.append((f.name, _TYPES[f.kind], f.unit, unique, missing, n))
    schema: dict[str, type[pl.DataType]]
    schema = {"feature": pl.String, "type": pl.String, "unit": pl.String, "unique": pl.Int64}
    schema |= {"missing": pl.Int64, "jobs": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def work(
    jobs: JobTable,
    definition: Workload = "work",
    *,
    sites: pl.DataFrame | None = None,
    default: float = DEFAULT_POWER,
) -> JobTable:
    """Return the jobs with ``core_power`` and, in ``work``, one of the three named workloads.

    ``work`` = core power x CPU time, which a simulator divides by a machine's speed to get the
    service time; ``work_occupancy`` = core power x cores x run time, PanDA's hs06sec;
    ``work_paper`` = cores x core power x CPU time, for comparison with papers that do so although
    the CPU time is summed over cores already. All in HS23 s.

    The core power is that of the record, else of the queue or its site in `sites` (columns queue,
    site, hs23_per_core; by default `tables.sites`, mostly estimates), else `default`; a note says
    how many jobs took each. A job that never ran, or that was created anew elsewhere, has no work.

    Raises `SchemaError` if a column that the definition needs is missing, `UnknownNameError` for
    an unknown definition.
    """
    if definition not in _FORMULAS:
        raise UnknownNameError("workload", definition, _FORMULAS)
    needs = {"work_occupancy": "run_time"}.get(definition, "cpu_time")
    jobs.require(needs, for_what=f"the workload {definition}")
    if definition != "work" and not {"cores_req", "cores_alloc"} & set(jobs.columns):
        jobs.require("cores_req", for_what=f"the workload {definition}")
    have = set(jobs.columns)
    frame, origin = _powered(jobs.frame, have, sites, default)
    widths = [name for name in ("cores_alloc", "cores_req") if name in have]
    cores = pl.lit(1) if definition == "work" else pl.coalesce(widths)
    amount = pl.col("core_power") * cores * pl.col(needs)
    frame = frame.with_columns(work=pl.when(_idle(have)).then(0.0).otherwise(amount))
    counts = frame.group_by(origin).len().collect(engine="streaming")
    of = {int(source): count for source, count in counts.iter_rows()}
    note = (
        f"Workload {definition} = {_FORMULAS[definition]}; core power of {of.get(0, 0)} jobs from "
        f"the record, of {of.get(1, 0)} from the table of sites (its figures are estimates unless "
        f"marked), of {of.get(2, 0)} the default {default:g} HS23 per core."
    )
    order = [f.name for f in TraceSchema.canonical() if f.name in have | {"core_power", "work"}]
    return jobs.with_frame(frame.select(order), note)


def _powered(
    frame: pl.LazyFrame, have: set[str], sites: pl.DataFrame | None, default: float
) -> tuple[pl.LazyFrame, str]:
    """Return the jobs with a core power, and the column that says where from: 0, 1 or 2."""
    sites = tables.sites() if sites is None else sites
    by_queue = sites.filter(pl.col("hs23_per_core") > 0).unique("queue", keep="first")
    by_site = by_queue.filter(pl.col("queue") == pl.col("site"))
    known: list[pl.Expr] = []
    for column, key, table in (("queue", "queue", by_queue), ("site", "site", by_site)):
        if column in have and table.height:
            known.append(
                pl.col(column).replace_strict(
                    table[key], table["hs23_per_core"], default=None, return_dtype=pl.Float64
                )
            )
    table_power = pl.coalesce(known) if known else pl.lit(None, pl.Float64)
    own = pl.col("core_power") if "core_power" in have else pl.lit(None, pl.Float64)
    own = pl.when(own > 0).then(own)
    origin = pl.when(own.is_not_null()).then(0).when(table_power.is_not_null()).then(1).otherwise(2)
    power = pl.coalesce(own, table_power, pl.lit(default))
    return frame.with_columns(core_power=power, _power_from=origin), "_power_from"


def _idle(have: set[str]) -> pl.Expr:
    """Tell whether a job did no work of its own."""
    idle = [pl.lit(value=False)]
    if {"status", "start_time"} <= have:
        idle.append(pl.col("status").is_in(_FINAL) & pl.col("start_time").is_null())
    if "raw_status" in have:
        idle.append(pl.col("raw_status").str.contains(r"^closed:.*toreassign"))
    return pl.any_horizontal(expr.fill_null(value=False) for expr in idle)
