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

from gridtwin.web import api, charts
from gridtwin.web import runs as folders
from gridtwin.web.guard import Keys
from gridtwin.web.runs import MissingError

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_STATIC = {"live.js": "text/javascript", "page.js": "text/javascript"}
_REPORT = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'none'"
)
"""A report is a file that somebody wrote: it is shown, but runs nothing and asks for nothing."""
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
    environment.filters |= {"when": _when, "figure": _figure}
    return environment


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10_000 or value == int(value) else f"{value:.4g}"


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


def _run(request: Request, path: str) -> folders.Run:
    try:
        return folders.find(request.app.state.root, path)
    except MissingError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error


@router.get("/")
def index(request: Request) -> HTMLResponse:
    """Show the runs."""
    root: Path = request.app.state.root
    found, left_out = folders.runs(root)
    return _page("index.html.j2", request, runs=found, left_out=left_out, root=root.name)


@router.get("/run")
def run(request: Request, path: Path_) -> HTMLResponse:
    """Show a run."""
    found = _run(request, path)
    drawn = charts.compared([found.path], [found.timeline()])
    return _page(
        "run.html.j2",
        request,
        run=found.item(),
        figures=found.figures(),
        facts=found.facts(),
        notes=found.notes(),
        charts=drawn,
    )


@router.get("/compare")
def compare(request: Request, first: Path_, second: Path_) -> HTMLResponse:
    """Show two runs side by side."""
    both = api.compared(_run(request, first), _run(request, second))
    names = (both.first.path, both.second.path)
    if names[0] == names[1]:
        names = (f"{names[0]} (1)", f"{names[1]} (2)")
    drawn = charts.compared(names, both.timelines)
    return _page("compare.html.j2", request, both=both, names=names, charts=drawn)


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
