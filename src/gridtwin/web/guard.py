"""What stands before every request: whose it is, how large, and what the browser may do with it.

The server listens on the machine alone, but a page of any other site, open in the same browser,
can send requests to it. So the name in ``Host`` has to be the machine's own (no name that an
attacker lets point here), an ``Origin`` has to be the server itself, and what changes anything
needs a token besides.
"""

import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

__all__ = ["COOKIE", "HEADER", "MOST_BYTES", "Guard", "Keys", "may_run"]

MOST_BYTES = 1 << 20
"""Of the body of a request."""
HEADER = "x-gridtwin-token"
COOKIE = "gridtwin"
_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Keys:
    """Who may start and steer: the token, and the cookie of a browser that has shown it."""

    token: str | None
    """None: nobody may; the server only reads."""
    session: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def right(self, token: str) -> bool:
        """Return whether this is the token, in a time that does not tell how much of it is."""
        return self.token is not None and hmac.compare_digest(token.encode(), self.token.encode())

    def holds(self, request: Request) -> bool:
        """Return whether a request brings the token or the cookie."""
        if self.token is None:
            return False
        if self.right(request.headers.get(HEADER, "")):
            return True
        shown = request.cookies.get(COOKIE, "").encode()
        return hmac.compare_digest(shown, self.session.encode())


def may_run(request: Request) -> None:
    """Refuse a request that may not start or steer anything."""
    keys: Keys = request.app.state.keys
    if keys.token is None:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "this server only reads; start it with --allow-run"
        )
    if not keys.holds(request):
        raise HTTPException(
            HTTPStatus.UNAUTHORIZED,
            f"the token that 'gridtwin serve' printed is missing or wrong; enter it on the page, "
            f"or send it as {HEADER}",
            {"WWW-Authenticate": "Token"},
        )
    # a cookie comes along with whatever page sends the request, a header of ours does not
    if HEADER not in request.headers and "origin" not in request.headers:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Origin: expected this server's, got none")


class Guard:
    """Refuses what comes under another name, from another page or with too large a body."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {}
        for name, value in scope["headers"]:
            if name in headers and name in (b"host", b"origin", b"content-length"):
                await _refuse(send, HTTPStatus.BAD_REQUEST, f"{name.decode()}: given twice")
                return
            headers[name] = value
        if why := _wrong(headers):
            await _refuse(send, *why)
            return
        meter = _Meter(receive)
        await self.app(scope, meter, _sealed(send))


_TOO_LARGE = f"body: expected up to {MOST_BYTES:,} bytes, got more"


class _Meter:
    """Counts the bytes of a body as they are read, and refuses those beyond the bound."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self.read = receive, 0

    async def __call__(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self.read += len(message.get("body", b""))
        if self.read > MOST_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message


def _wrong(headers: dict[bytes, bytes]) -> tuple[HTTPStatus, str] | None:
    """Return why a request is refused before anything is read of it."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        name = None
    if name not in _HOSTS or "@" in host:
        told = "Host: expected 127.0.0.1 or localhost, got another name"
        return HTTPStatus.MISDIRECTED_REQUEST, told
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
        return HTTPStatus.FORBIDDEN, "Origin: the request comes from a page of another server"
    elsewhere = headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
    if elsewhere and headers.get(b"sec-fetch-mode") != b"navigate":
        return HTTPStatus.FORBIDDEN, "the request comes from a page of another server"
    length = headers.get(b"content-length", b"0")
    if not length.isdigit():
        return HTTPStatus.BAD_REQUEST, "Content-Length: expected a number of bytes"
    if int(length) > MOST_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE
    return None


def _sealed(send: Send) -> Send:
    """Return a `send` that adds the headers of `_HEADERS` which the answer does not have."""

    async def sealed(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            have = list(message.get("headers", []))
            names = {name.lower() for name, _ in have}
            have += [(name, value) for name, value in _HEADERS.items() if name not in names]
            message["headers"] = have
        await send(message)

    return sealed


async def _refuse(send: Send, status: HTTPStatus, detail: str) -> None:
    problem = {"status": int(status), "title": status.phrase, "detail": detail, "fields": []}
    body = json.dumps(problem).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    sealed = _sealed(send)
    await sealed({"type": "http.response.start", "status": int(status), "headers": headers})
    await sealed({"type": "http.response.body", "body": body})
