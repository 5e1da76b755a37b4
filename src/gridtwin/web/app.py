"""Put the server together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as RoutingError

import gridtwin
from gridtwin.core.errors import GridtwinError, InputError
from gridtwin.web import api, pages
from gridtwin.web.guard import Guard, Keys
from gridtwin.web.live import BusyError, Limits, Lives
from gridtwin.web.runs import MissingError
from gridtwin.web.shapes import Problem
from gridtwin.web.whatif import Studies

__all__ = ["make_app"]

_SWEEP = 5.0


def make_app(root: Path, *, token: str | None = None, limits: Limits | None = None) -> FastAPI:
    """Return the server of the runs below `root`.

    Parameters
    ----------
    token
        Lets who has it start and steer simulations; None: the server only reads.
    limits
        Of live simulations.
    """
    root = root.resolve()
    if not root.is_dir():
        raise InputError(f"{root} is no folder; give one that holds runs")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(app.state.lives))
        try:
            yield
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            await app.state.lives.close()
            await app.state.studies.close()

    app = FastAPI(
        title="gridtwin",
        summary="Runs, comparisons and live simulations of this machine.",
        version=gridtwin.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # the usual pages of it load their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.root = root
    app.state.keys = Keys(token)
    app.state.lives = Lives(root, limits)
    app.state.studies = Studies(root)
    app.include_router(api.router)
    app.include_router(pages.router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(RoutingError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(GridtwinError, _bad)
    app.add_middleware(Guard)
    return app


async def _sweep(lives: Lives) -> None:
    while True:
        await asyncio.sleep(_SWEEP)
        await lives.sweep()


def _answer(status: int, detail: str, fields: list[str] | None = None) -> JSONResponse:
    title = HTTPStatus(status).phrase
    problem = Problem(status=status, title=title, detail=detail, fields=fields or [])
    return JSONResponse(problem.model_dump(), status)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Say which fields are wrong; what came is not repeated, it may be the token."""
    fields = []
    if isinstance(error, RequestValidationError):
        for one in error.errors():
            where = ".".join(str(part) for part in one["loc"])
            fields.append(f"{where}: {one['msg']}"[:300])
    return _answer(422, "the request has fields that are wrong, missing or unknown", fields[:50])


async def _refused(_: Request, error: Exception) -> JSONResponse:
    status = getattr(error, "status_code", 500)
    answer = _answer(status, str(getattr(error, "detail", "")))
    answer.headers.update(getattr(error, "headers", None) or {})
    return answer


async def _bad(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, MissingError):
        return _answer(404, str(error))
    return _answer(409 if isinstance(error, BusyError) else 422, str(error))
