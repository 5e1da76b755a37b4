"""What the server takes and gives, as pydantic models: the JSON API and its OpenAPI follow."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Action",
    "Change",
    "Choices",
    "Comparison",
    "Figure",
    "Health",
    "LiveList",
    "LiveState",
    "Note",
    "Point",
    "Problem",
    "RunDetail",
    "RunItem",
    "RunList",
    "Site",
    "SiteState",
    "Start",
    "State",
    "Timeline",
    "Token",
]

MOST_DAYS = 200
MOST_JOBS = 2_500_000
FASTEST = 1e8

State = Literal["loading", "playing", "paused", "done", "failed", "ended"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
RunPath = Annotated[
    str, Field(min_length=1, max_length=1000, description="Folder, relative to the served one.")
]


class Given(BaseModel):
    """What comes from outside: a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Told(BaseModel):
    """What the server says."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")


class Problem(Told):
    """Why a request was refused."""

    status: int
    title: str
    detail: str
    fields: list[str] = []
    """What is wrong with which field, a line each."""


class Health(Told):
    """That the server is there."""

    gridtwin: str
    allow_run: bool
    allowed: bool
    """Whether this browser may start and steer."""


class Token(Given):
    """The token that ``gridtwin serve --allow-run`` printed."""

    token: str = Field(min_length=1, max_length=200)


class RunItem(Told):
    """A run folder in a list."""

    path: str
    title: str
    kind: Literal["study", "simulation", "report"]
    modified: float
    """Seconds since 1970."""
    report: bool
    progress: str = ""


class RunList(Told):
    """The run folders, latest first."""

    runs: list[RunItem]
    left_out: int
    """Folders beyond the bound on the list's length."""


class Figure(Told):
    """A named number of a run."""

    name: str
    value: float | None
    meaning: str = ""


class RunDetail(RunItem):
    """A run folder, opened."""

    scenarios: list[str]
    figures: list[Figure]
    """Of the scenario that was asked for, else of the base."""
    facts: dict[str, str]
    notes: list[str]


class Timeline(Told):
    """All sites together over time: means over at most 300 equal bins."""

    hours: list[float]
    """Begin of a bin, since the first submission."""
    queued: list[float]
    running: list[float]
    busy_cores: list[float]


class ComparedFigure(Told):
    """A figure in two runs."""

    name: str
    meaning: str
    first: float | None
    second: float | None
    change: float | None
    ratio: float | None


class Comparison(Told):
    """Two runs side by side."""

    first: RunItem
    second: RunItem
    labels: list[str]
    figures: list[ComparedFigure]
    timelines: list[Timeline]


class Start(Given):
    """A live simulation to start."""

    title: str = Field("", max_length=80)
    records: RunPath | None = Field(
        None, description="Job records in the served folder; none: an example."
    )
    example: Literal["panda", "lublin"] = "panda"
    days: int = Field(7, ge=1, le=MOST_DAYS, description="Of the example panda.")
    scale: float = Field(0.2, ge=0.001, le=2.0, description="Of the load of the example panda.")
    jobs: int = Field(10_000, ge=1, le=MOST_JOBS, description="Of the example lublin.")
    platform: Literal["observed", "wlcg", "machine"] = "observed"
    cores: int | None = Field(None, ge=1, le=100_000_000, description="Of all sites together.")
    policy: Name = "easy"
    broker: Name = "least_loaded"
    seed: int = Field(0, ge=0, lt=2**31)
    speed: float = Field(21600.0, gt=0.0, le=FASTEST, description="Simulated seconds a second.")
    paused: bool = False


class Action(Given):
    """A step of the user in a live simulation."""

    do: Literal["play", "pause", "speed", "policy", "broker", "close", "reopen", "load"]
    value: float | None = Field(
        None,
        gt=0.0,
        le=FASTEST,
        description="Of speed: simulated seconds a second; of load: a factor.",
    )
    site: Name | None = Field(None, description="Of close and reopen; of policy: none is all.")
    policy: Name | None = None
    broker: Name | None = None


class Site(Told):
    """A site of a live simulation."""

    name: str
    cores: int


class SiteState(Told):
    """The sites as they stand, in the order of `LiveState.sites`."""

    queued: list[int]
    running: list[int]
    busy_cores: list[int]
    open: list[float]
    """Share of the cores that may be used."""


class Point(Told):
    """All sites together at a time."""

    time: float
    """Simulated seconds since the first submission."""
    queued: int
    running: int
    busy_cores: int
    open_cores: int
    rate: float
    """Bytes that flow a simulated second."""


class Note(Told):
    """Something that happened in a live simulation."""

    time: float | None
    text: str
    bad: bool = False


class Progress(Told):
    """Where a live simulation stands."""

    arrived: int
    finished: int
    """Attempts, as `failed`."""
    failed: int
    transfers: int
    """That flow now."""
    events: int
    lag: bool
    """Whether it runs as fast as it can, slower than it was asked to."""


class LiveState(Told):
    """A live simulation."""

    id: str
    title: str
    state: State
    speed: float
    policy: str
    broker: str
    jobs: int
    begin: float
    """First submission, seconds since 1970 or in the clock of the records."""
    span: float
    """Seconds from the first submission to the last."""
    moves: bool
    """Whether data are moved: the platform has links."""
    sites: list[Site]
    now: Point | None
    progress: Progress | None
    at_sites: SiteState | None
    notes: list[Note]
    watchers: int


class LiveList(Told):
    """The live simulations."""

    live: list[LiveState]
    most: int


class Change(Told):
    """What a live simulation made of an action: it is done before the next step."""

    id: str
    taken: bool


class Question(Given):
    """A what-if: a study of the base and of each change by itself."""

    title: str = Field("what if", min_length=1, max_length=80)
    records: RunPath | None = Field(
        None, description="Job records in the served folder; none: an example."
    )
    example: Literal["panda", "lublin"] = "panda"
    days: int = Field(7, ge=1, le=60)
    scale: float = Field(0.05, ge=0.001, le=2.0, description="Of the load of the example panda.")
    jobs: int = Field(5_000, ge=10, le=500_000, description="Of the example lublin.")
    cores: int | None = Field(None, ge=1, le=100_000_000, description="One machine; none: sites.")
    share: float = Field(1.0, ge=0.01, le=10.0, description="Of the sites' cores.")
    broker: list[Name] = Field(["least_loaded"], min_length=1, max_length=6)
    queue: Name | None = None
    seeds: int = Field(3, ge=1, le=20)
    load: float | None = Field(None, ge=0.05, le=10.0, description="So many times the jobs.")
    lost: Name | None = Field(None, description="A site that is lost.")
    lost_at_days: float = Field(2.0, ge=0.0, le=1000.0)
    lost_days: float = Field(1.0, gt=0.0, le=1000.0)
    switch_broker: Name | None = None
    switch_queue: Name | None = None
    switch_at_days: float = Field(2.0, ge=0.0, le=1000.0)


class StudyFile(Told):
    """A study file."""

    text: str


class StudyState(Told):
    """A study that was started here."""

    path: str
    """Of its folder, and with ``.toml`` behind it of its file."""
    title: str
    state: Literal["running", "done", "failed"]
    done: int
    total: int
    text: str = ""
    """What went wrong."""


class StudyList(Told):
    """The studies that were started here, latest first."""

    studies: list[StudyState]


class Choices(Told):
    """What the forms offer."""

    policies: list[str]
    brokers: list[str]
    records: list[str]
