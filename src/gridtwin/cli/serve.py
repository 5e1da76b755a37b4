"""``gridtwin serve``: show runs, reports and live simulations in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from gridtwin.cli.console import say


def command(
    runs: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of runs.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8765,
    allow_run: Annotated[
        bool,
        typer.Option("--allow-run", help="Let who has the printed token run and steer."),
    ] = False,
) -> None:
    """Show the runs of a folder on this machine, 127.0.0.1; read-only unless told otherwise."""
    from gridtwin.core.errors import MissingExtraError

    try:
        import fastapi  # noqa: F401 - only whether it is there
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("gridtwin serve", "FastAPI and uvicorn", "web") from error
    from gridtwin.web.server import serve

    serve(runs, port=port, allow_run=allow_run, said=_said)


def _said(address: str, token: str | None) -> None:
    typer.echo(address)
    if token is not None:
        say(f"token: {token}")
    say("stop with Ctrl-C")
