"""Run the server on this machine's own address."""

import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from gridtwin.core.errors import InputError
from gridtwin.web.app import make_app
from gridtwin.web.live import Limits

__all__ = ["ADDRESS", "serve"]

ADDRESS = "127.0.0.1"


class _Server(uvicorn.Server):
    """Lets the streams end before it waits for them."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        await app.state.lives.close()
        await app.state.studies.close()
        await super().shutdown(sockets=sockets)


def serve(
    root: Path,
    *,
    port: int = 0,
    allow_run: bool = False,
    limits: Limits | None = None,
    said: Callable[[str, str | None], None] | None = None,
) -> None:
    """Serve the runs below a folder until the process is interrupted.

    Parameters
    ----------
    port
        0: any that is free.
    allow_run
        Whether who has the token may start simulations and studies.
    said
        Called with the address and the token, None without `allow_run`, before the first request.

    Raises `InputError` where the folder is not there or the port is taken.
    """
    token = secrets.token_urlsafe(24) if allow_run else None
    app = make_app(root, token=token, limits=limits)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((ADDRESS, port))
            listening.listen(128)
        except OSError as error:
            raise InputError(
                f"port {port} of {ADDRESS} cannot be had ({error.strerror}); choose another, or 0 "
                "for any"
            ) from error
        if said is not None:
            said(f"http://{ADDRESS}:{listening.getsockname()[1]}/", token)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
            limit_concurrency=200,
            ws="none",
        )
        _Server(config).run(sockets=[listening])
    finally:
        listening.close()
