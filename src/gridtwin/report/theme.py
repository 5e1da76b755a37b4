"""What all charts share: colours, sizes, fonts and the names of columns in words."""

from collections.abc import Sequence
from typing import Final

import altair as alt

from gridtwin.trace import TraceSchema

__all__ = [
    "COLORS",
    "DASHES",
    "NARROW",
    "WIDE",
    "Chart",
    "label",
    "ordered",
    "styled",
    "trace_color",
    "trace_dash",
    "unit",
]

Chart = alt.Chart | alt.LayerChart | alt.FacetChart | alt.HConcatChart
"""A finished chart."""
NARROW: Final = 310
"""Width of a small chart, px."""
WIDE: Final = 900
"""Width of a chart over time, px."""

# The colours of Okabe and Ito (2008), told apart with any colour vision.
COLORS: Final = {"real": "#0072B2", "real weeks": "#56B4E9", "synthetic": "#D55E00"}
_MORE: Final = ("#009E73", "#CC79A7", "#E69F00", "#333333")
DASHES: Final = {"real": [1, 0], "synthetic": [5, 3]}

_LABELS: Final = {
    "cores_req": "Cores requested",
    "cores_alloc": "Cores used",
    "nodes_req": "Nodes requested",
    "nodes_alloc": "Nodes used",
    "gpus_req": "GPUs requested",
    "walltime_req": "Requested wall time",
    "run_time": "Run time",
    "wait_time": "Recorded wait",
    "cpu_time": "CPU time",
    "run / request": "Run time / requested wall time",
    "mem_req": "Memory requested",
    "mem_used": "Memory used",
    "vo": "Virtual organisation",
}


def label(column: str) -> str:
    """Return the name of a column in words; units are not part of it."""
    return _LABELS.get(column, column.replace("_", " ").capitalize())


def unit(column: str) -> str:
    """Return the unit of a canonical column where its name in words does not say it."""
    schema = TraceSchema.canonical()
    found = schema[column].unit if column in schema else ""
    return "" if found.lower() in label(column).lower().split() else found


def ordered(traces: Sequence[str]) -> list[str]:
    """Return the traces, each once: real, real weeks, synthetic, then any others as they come."""
    present = dict.fromkeys(traces)
    return [t for t in COLORS if t in present] + [t for t in present if t not in COLORS]


def trace_color(traces: Sequence[str], *, legend: bool = True, symbol: str = "stroke") -> alt.Color:
    """Return the colour channel: the same trace has the same colour in every chart."""
    domain = ordered(traces)
    others = iter(_MORE * (1 + len(domain) // len(_MORE)))
    colors = [COLORS.get(trace) or next(others) for trace in domain]
    size = 220 if symbol == "stroke" else 80
    guide = alt.Legend(title=None, orient="top", symbolType=symbol, symbolSize=size)
    return alt.Color(
        "trace:N", scale=alt.Scale(domain=domain, range=colors), legend=guide if legend else None
    )


def trace_dash(traces: Sequence[str], *, legend: bool = True) -> alt.StrokeDash:
    """Return the dash channel: real lines are solid, others dashed, for print."""
    domain = ordered(traces)
    other = [2, 2] if len(domain) > 1 else [1, 0]
    dashes = [DASHES.get(trace, other) for trace in domain]
    guide = alt.Legend(title=None, orient="top", symbolType="stroke")
    return alt.StrokeDash(
        "trace:N", scale=alt.Scale(domain=domain, range=dashes), legend=guide if legend else None
    )


def styled(chart: Chart) -> Chart:
    """Return the chart with the common look."""
    grey = "#444"
    look: Chart = (
        chart.configure(
            background="white",
            font="Helvetica, Arial, 'Liberation Sans', system-ui, sans-serif",
            aria=False,
            padding=4,
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=grey,
            titleColor=grey,
            labelFontSize=11,
            titleFontSize=12,
            titleFontWeight="normal",
            gridColor="#e6e6e6",
            domainColor="#999",
            tickColor="#999",
        )
        .configure_legend(
            labelFontSize=12,
            labelColor=grey,
            titleColor=grey,
            symbolStrokeWidth=2.5,
            symbolSize=220,
        )
        .configure_header(labelFontSize=12, labelColor=grey, title=None)
    )
    return look
