"""The pages: what is read is in the page itself, what moves is drawn by the scripts."""

from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import jinja2
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from gridtwin.report.numbers import number, quantity, signed
from gridtwin.study.kpis import METRICS
from gridtwin.web import api, charts
from gridtwin.web import runs as folders
from gridtwin.web.guard import Keys
from gridtwin.web.runs import MissingError

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_STATIC = dict.fromkeys(("live.js", "page.js", "whatif.js"), "text/javascript")
_REPORT = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'"
)
"""A report is a file that somebody wrote: it is shown, but runs nothing and asks for nothing."""
Scenario = Annotated[str | None, Query(max_length=500)]
Path_ = Annotated[str, Query(min_length=1, max_length=1000)]


@cache
def _environment() -> jinja2.Environment:
    loader = jinja2.ChoiceLoader(
        [jinja2.PackageLoader("gridtwin.web"), jinja2.PackageLoader("gridtwin.report")]
    )
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "when": _when,
        "words": _words,
        "figure": _figure,
        "change": _change,
        "ratio": number,
    }
    return environment


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _words(name: str) -> str:
    return name.replace("_", " ").replace("p95", "95th percentile of").capitalize()


def _figure(value: float | None, name: str) -> str:
    return quantity(value, _unit(name))


def _change(value: float | None, name: str) -> str:
    unit = _unit(name)
    return signed(value, "points" if unit == "share" else unit)


def _unit(name: str) -> str:
    """Return the unit of a figure of a study or a simulation; names tell what is counted."""
    ends = {"_wait": "s", "_share": "share", "_bytes": "bytes"}
    known = next((unit for end, unit in ends.items() if name.endswith(end)), "")
    unit = METRICS[name].unit if name in METRICS else known
    return unit if unit in ends.values() else ""


def _page(name: str, request: Request, **what: Any) -> HTMLResponse:  # noqa: ANN401 - for Jinja
    keys: Keys = request.app.state.keys
    text = (
        _environment()
        .get_template(name)
        .render(
            **what,
            allow_run=keys.token is not None,
            allowed=keys.holds(request),
            at=request.url.path,
        )
    )
    return HTMLResponse(text)


def _run(request: Request, path: str, scenario: str | None = None) -> folders.Run:
    try:
        return folders.find(request.app.state.root, path, scenario)
    except MissingError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error


@router.get("/")
def index(request: Request) -> HTMLResponse:
    """Show the runs."""
    root: Path = request.app.state.root
    found, left_out = folders.runs(root)
    return _page("index.html.j2", request, runs=found, left_out=left_out, root=root.name)


@router.get("/run")
def run(request: Request, path: Path_, scenario: Scenario = None) -> HTMLResponse:
    """Show a run; of a study, a scenario."""
    found = _run(request, path, scenario)
    study = found.study
    return _page(
        "run.html.j2",
        request,
        run=found.item(),
        scenarios=() if study is None else study.scenarios,
        base=None if study is None else study.spec.base,
        label=found.label,
        figures=found.figures(),
        facts=found.facts(),
        notes=found.notes(),
        charts=charts.compared([found.label], [found.timeline()]),
    )


@router.get("/compare")
def compare(
    request: Request,
    first: Path_,
    second: Path_,
    first_scenario: Scenario = None,
    second_scenario: Scenario = None,
) -> HTMLResponse:
    """Show two runs side by side."""
    both = api.compared(
        _run(request, first, first_scenario), _run(request, second, second_scenario)
    )
    names = list(both.labels)
    if names[0] == names[1]:
        names = [f"{name} ({k})" for k, name in enumerate(names, 1)]
    drawn = charts.compared(names, both.timelines)
    return _page("compare.html.j2", request, both=both, names=names, charts=drawn)


@router.get("/whatif")
def whatif(request: Request) -> HTMLResponse:
    """Show the form for a what-if, and the studies that were started here."""
    return _page("whatif.html.j2", request)


@router.get("/report")
def report(request: Request, path: Path_) -> FileResponse:
    """Show the report of a run as it is, without a right to anything."""
    found = folders.report_of(_run(request, path).folder)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"{path!r} has no report.html")
    return FileResponse(found, media_type="text/html", headers={"Content-Security-Policy": _REPORT})


@router.get("/live")
def live_start(request: Request) -> HTMLResponse:
    """Show the live simulations and the form to start one."""
    return _page("start.html.j2", request)


@router.get("/live/{id}")
def live(request: Request, id: str) -> HTMLResponse:
    """Show a live simulation."""
    found = request.app.state.lives.all.get(id)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such live simulation")
    return _page("live.html.j2", request, live=found.shape(), charts=charts.live())


@router.get("/static/vega.js")
async def vega() -> Response:
    """Send the script that draws charts."""
    text = await run_in_threadpool(charts.bundle)
    return Response(text, media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})


@router.get("/static/style.css")
def style() -> Response:
    """Send the look: that of the reports, and what the pages add."""
    report_style = _environment().get_template("style.css.j2").render()
    own = files("gridtwin.web").joinpath("static/page.css").read_text(encoding="utf-8")
    return Response(report_style + own, media_type="text/css")


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Send a script of ours."""
    if name not in _STATIC:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such file")
    text = files("gridtwin.web").joinpath(f"static/{name}").read_text(encoding="utf-8")
    return Response(text, media_type=_STATIC[name])


@router.get("/favicon.ico")
def icon() -> Response:
    """Send no icon, so that browsers do not ask again."""
    return Response(status_code=HTTPStatus.NO_CONTENT)
