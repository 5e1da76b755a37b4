"""The JSON API; what it takes and gives is in `gridtwin.web.shapes`."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

import gridtwin
from gridtwin.web import runs as folders
from gridtwin.web.guard import COOKIE, Keys, may_run
from gridtwin.web.live import Live, Lives, stream
from gridtwin.web.shapes import (
    Action,
    Change,
    Choices,
    ComparedFigure,
    Comparison,
    Health,
    LiveList,
    LiveState,
    Problem,
    Question,
    RunDetail,
    RunList,
    Start,
    StudyFile,
    StudyList,
    StudyState,
    Timeline,
    Token,
)
from gridtwin.web.whatif import Studies, study_file

__all__ = ["compared", "router"]


def _problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    return {int(s): {"model": Problem, "description": s.phrase} for s in statuses}


router = APIRouter(
    prefix="/api",
    responses=_problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.MISDIRECTED_REQUEST,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
)
_MISSING = _problems(HTTPStatus.NOT_FOUND)
_STEERS = _problems(HTTPStatus.UNAUTHORIZED, HTTPStatus.CONFLICT)
RunPath = Annotated[
    str, Query(min_length=1, max_length=1000, description="Folder, relative to the served one.")
]

Scenario = Annotated[str | None, Query(max_length=500, description="Of a study: id or label.")]


def _root(request: Request) -> Path:
    root: Path = request.app.state.root
    return root


def _lives(request: Request) -> Lives:
    lives: Lives = request.app.state.lives
    return lives


def _studies(request: Request) -> Studies:
    studies: Studies = request.app.state.studies
    return studies


def _live(id: str, request: Request) -> Live:
    found = _lives(request).all.get(id)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such live simulation")
    return found


Root = Annotated[Path, Depends(_root)]
AllStudies = Annotated[Studies, Depends(_studies)]
AllLives = Annotated[Lives, Depends(_lives)]
OneLive = Annotated[Live, Depends(_live)]


@router.get("/health")
def health(request: Request) -> Health:
    """Say that the server is there, and whether this browser may start simulations."""
    keys: Keys = request.app.state.keys
    return Health(
        gridtwin=gridtwin.__version__,
        allow_run=keys.token is not None,
        allowed=keys.holds(request),
    )


@router.post("/session", responses=_STEERS, status_code=HTTPStatus.NO_CONTENT)
def sign_in(given: Token, request: Request, response: Response) -> None:
    """Take the token; this browser may then start and steer."""
    keys: Keys = request.app.state.keys
    if keys.token is None:
        raise HTTPException(HTTPStatus.FORBIDDEN, "this server only reads")
    if not keys.right(given.token):
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "this is not the token that was printed")
    response.set_cookie(COOKIE, keys.session, httponly=True, samesite="strict", path="/")


@router.get("/runs")
def list_runs(root: Root) -> RunList:
    """List the run folders, latest first."""
    found, left_out = folders.runs(root)
    return RunList(runs=found, left_out=left_out)


@router.get("/run", responses=_MISSING)
def show_run(path: RunPath, root: Root, scenario: Scenario = None) -> RunDetail:
    """Tell what a run folder holds; of a study, one scenario, by default the base."""
    run = folders.find(root, path, scenario)
    return RunDetail(
        **run.item().model_dump(),
        scenarios=[] if run.study is None else [one.label for one in run.study.scenarios],
        figures=run.figures(),
        facts=run.facts(),
        notes=run.notes(),
    )


@router.get("/timeline", responses=_MISSING)
def show_timeline(path: RunPath, root: Root, scenario: Scenario = None) -> Timeline:
    """Tell the state of a run's sites over time."""
    return folders.find(root, path, scenario).timeline()


@router.get("/compare", responses=_MISSING)
def compare(
    first: RunPath,
    second: RunPath,
    root: Root,
    first_scenario: Scenario = None,
    second_scenario: Scenario = None,
) -> Comparison:
    """Put two runs, or scenarios of studies, side by side."""
    one = folders.find(root, first, first_scenario)
    return compared(one, folders.find(root, second, second_scenario))


def compared(one: folders.Run, other: folders.Run) -> Comparison:
    """Return two runs' figures, those of both first, and their timelines."""
    figures = {figure.name: figure for figure in one.figures()}
    more = {figure.name: figure for figure in other.figures()}
    rows = []
    for name in dict.fromkeys([*figures, *more]):
        a = figures[name].value if name in figures else None
        b = more[name].value if name in more else None
        both = a is not None and b is not None
        rows.append(
            ComparedFigure(
                name=name,
                meaning=(figures.get(name) or more[name]).meaning,
                first=a,
                second=b,
                change=b - a if a is not None and b is not None else None,
                ratio=b / a if both and a and b is not None else None,
            )
        )
    return Comparison(
        first=one.item(),
        second=other.item(),
        labels=[one.label, other.label],
        figures=rows,
        timelines=[one.timeline(), other.timeline()],
    )


@router.get("/studies")
def list_studies(studies: AllStudies) -> StudyList:
    """List the studies that were started here."""
    return StudyList(studies=studies.shapes())


@router.post(
    "/studies",
    dependencies=[Depends(may_run)],
    responses=_STEERS | _MISSING,
    status_code=HTTPStatus.CREATED,
)
async def start_study(question: Question, studies: AllStudies, root: Root) -> StudyState:
    """Write a study file and run it in a process of its own."""
    if question.records is not None and not folders.inside(root, question.records).is_file():
        raise folders.MissingError(f"{question.records!r} is no file")
    return await studies.start(question)


@router.post("/studies/check", dependencies=[Depends(may_run)], responses=_STEERS)
def check_study(question: Question) -> StudyFile:
    """Tell the study file that a question would be."""
    return StudyFile(text=study_file(question))


@router.get("/choices")
def choices(root: Root) -> Choices:
    """Tell what a live simulation can be started with."""
    from gridtwin import policy
    from gridtwin.sim.brokers import broker_names

    return Choices(policies=policy.names(), brokers=broker_names(), records=folders.records(root))


@router.get("/live")
def list_live(lives: AllLives) -> LiveList:
    """List the live simulations, latest first."""
    shapes = [live.shape() for live in reversed(lives.all.values())]
    return LiveList(live=shapes, most=lives.limits.running)


@router.post(
    "/live",
    dependencies=[Depends(may_run)],
    responses=_STEERS | _MISSING,
    status_code=HTTPStatus.CREATED,
)
async def start_live(start: Start, lives: AllLives, root: Root) -> LiveState:
    """Start a live simulation in a process of its own; it loads, then plays."""
    if start.records is not None and not folders.inside(root, start.records).is_file():
        raise folders.MissingError(f"{start.records!r} is no file")
    return (await lives.start(start)).shape()


@router.get("/live/{id}", responses=_MISSING)
def show_live(live: OneLive) -> LiveState:
    """Tell where a live simulation stands."""
    return live.shape()


@router.post("/live/{id}/action", dependencies=[Depends(may_run)], responses=_STEERS | _MISSING)
async def act(live: OneLive, action: Action, lives: AllLives) -> Change:
    """Play, pause, set the speed, switch the policy, take a site down or up, scale the load."""
    needed = {"speed": "value", "load": "value", "policy": "policy", "close": "site"}
    needed |= {"reopen": "site", "broker": "broker"}
    name = needed.get(action.do)
    if name is not None and getattr(action, name) is None:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: needed for {action.do!r}, got none"
        )
    await lives.steer(live, action)
    return Change(id=live.id, taken=True)


@router.delete("/live/{id}", dependencies=[Depends(may_run)], responses=_STEERS | _MISSING)
async def end_live(live: OneLive, lives: AllLives) -> Change:
    """End a live simulation; what was seen of it stays until others take its place."""
    await lives.end(live)
    return Change(id=live.id, taken=True)


@router.get(
    "/live/{id}/stream",
    responses=_MISSING
    | _problems(HTTPStatus.CONFLICT)
    | {200: {"content": {"text/event-stream": {}}, "description": "A frame ten times a second."}},
    response_class=StreamingResponse,
)
async def watch(live: OneLive, lives: AllLives) -> StreamingResponse:
    """Send what a live simulation does, as server-sent events."""
    if live.watchers >= lives.limits.watchers:
        raise HTTPException(
            HTTPStatus.CONFLICT, f"{live.watchers} look on already; close another page"
        )
    return StreamingResponse(stream(live), media_type="text/event-stream")
