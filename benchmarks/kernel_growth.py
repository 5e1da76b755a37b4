"""How the kernels' speed changes with jobs, sites and flows: ``kernel.py --growth FILE.svg``.

Each point is the best of three runs or more, in jobs per CPU second of the event loop. A level
line is work in proportion to the number of jobs; a straight fall by ten where the axis rises by
ten is work a job in proportion to what is on the axis.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
from kernel_cases import busy, copies, stars

__all__ = ["draw"]

_JOBS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000)
_SITES = (10, 20, 50, 100, 300)
_FLOWS = (10, 100, 1_000, 10_000, 100_000)
_REPEATS = 3
_LEVELS = ("L0", "L1", "L2", "L3")
_COLORS = ("#333333", "#0072B2", "#D55E00", "#009E73")


def _points() -> Iterator[tuple[str, str, int, Callable[[], Any], int]]:
    """Yield axis, level, its value, what to run, and the jobs."""
    from kernel import go, grid, run_jobs, timed

    def compute(n: int, sites: int = 150) -> Callable[[], float]:
        case = grid(n, sites)
        return lambda: timed(run_jobs, *case)[0]

    def data(case: Any) -> Callable[[], float]:  # noqa: ANN401
        return lambda: go(case)[0][0]

    for n in _JOBS:
        yield "Jobs", "L0", n, compute(n), n
        yield "Jobs", "L1", n, data(stars(n)), n
        if n <= 1_000_000:
            yield "Jobs", "L2", n, data(stars(n, uplink=1.1)), n
            yield "Jobs", "L3", n, data(copies(n)), n
    for sites in _SITES:
        yield "Sites", "L0", sites, compute(300_000, sites), 300_000
        yield "Sites", "L1", sites, data(stars(300_000, sites)), 300_000
        yield "Sites", "L2", sites, data(stars(100_000, sites, uplink=1.1)), 100_000
        wan = 1e7 * sites  # more sites read more from where the popular files are
        yield "Sites", "L3", sites, data(copies(100_000, sites, wan=wan)), 100_000
    for flows in _FLOWS:
        n = max(100_000, 4 * flows)
        yield "Flows at a time", "L1", flows, data(busy(n, flows, shared=False)), n
        yield "Flows at a time", "L2", flows, data(busy(n, flows, shared=True)), n


def _measured() -> pl.DataFrame:
    rows = []
    for axis, level, value, run, jobs in _points():
        rate = jobs / min(run() for _ in range(max(_REPEATS, 300_000 // jobs)))
        print(f"{axis:16} {level} {value:>9} {rate:>12.0f} jobs per CPU second", flush=True)
        rows.append((axis, level, value, rate))
    return pl.DataFrame(rows, schema=["axis", "level", "value", "rate"], orient="row")


def _panel(points: pl.DataFrame, axis: str) -> alt.Chart:
    scale = alt.Scale(domain=list(_LEVELS), range=list(_COLORS))
    part = points.filter(pl.col("axis") == axis)
    marks = part["value"].unique().sort().to_list()
    return (
        alt.Chart(part)
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=40), strokeWidth=2)
        .encode(
            x=alt.X(
                "value:Q",
                title=axis,
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(values=marks, format="~s", grid=False),
            ),
            y=alt.Y(
                "rate:Q",
                title="Jobs per CPU second",
                scale=alt.Scale(type="log", domain=[5e4, 1e7]),
                axis=alt.Axis(values=[1e5, 3e5, 1e6, 3e6, 1e7], format="~s"),
            ),
            color=alt.Color("level:N", title=None, scale=scale),
        )
        .properties(width=230, height=230)
    )


def draw(path: Path) -> None:
    """Measure and draw; what the chart shows is printed too."""
    points = _measured()
    chart = alt.hconcat(
        *(_panel(points, axis) for axis in points["axis"].unique(maintain_order=True))
    )
    chart.configure_view(stroke=None).save(str(path))
