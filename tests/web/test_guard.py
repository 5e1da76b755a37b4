"""What is refused, and how."""

import socket

import pytest

from gridtwin.web.guard import COOKIE, HEADER, MOST_BYTES, Keys

START = {"example": "lublin", "jobs": 10, "paused": True}


@pytest.mark.parametrize("host", ["evil.example", "evil.example:1234", "127.0.0.1.evil.example"])
@pytest.mark.parametrize("path", ["/", "/api/runs", "/api/live"])
def test_another_name_is_misdirected(client, host, path):
    answer = client.get(path, headers={"host": host})
    assert answer.status_code == 421
    assert "Host" in answer.json()["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1:1234", "localhost", "LOCALHOST:9", "[::1]:80"])
def test_own_names_are_answered(client, host):
    assert client.get("/api/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["", "a@127.0.0.1", "[::1", "127.0.0.1,evil.example"])
def test_odd_names_are_misdirected(client, host):
    assert client.get("/api/health", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9", "https://127.0.0.1:1234"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_is_forbidden(client, origin, method, token):
    headers = {"origin": origin, HEADER: token}
    answer = client.request(method, "/api/live", headers=headers, json=START)
    assert answer.status_code == 403
    assert "Origin" in answer.json()["detail"]


def test_scripts_of_other_pages_are_forbidden(client):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client.get("/api/runs", headers=headers).status_code == 403
    headers["sec-fetch-mode"] = "navigate"  # a link that leads here
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("change", [None, "", "wrong", "{}x", "x{}", "\u00e9"])
def test_without_the_token_nothing_is_started(client, token, change):
    headers = {} if change is None else {HEADER: change.format(token).encode()}
    for method, path, body in (
        ("POST", "/api/live", START),
        ("POST", "/api/live/none/action", {"do": "play"}),
        ("DELETE", "/api/live/none", None),
    ):
        answer = client.request(method, path, headers=headers, json=body)
        assert answer.status_code == 401, path
        assert "token" in answer.json()["detail"]
    assert client.get("/api/live").json()["live"] == []


def test_a_server_that_reads_starts_nothing(reader, token):
    answer = reader.post("/api/live", headers={HEADER: token}, json=START)
    assert answer.status_code == 403
    assert "--allow-run" in answer.json()["detail"]
    assert reader.post("/api/session", json={"token": ""}).status_code == 422
    assert reader.post("/api/session", json={"token": "None"}).status_code == 403


def test_the_cookie_needs_the_own_origin(client, token):
    assert client.post("/api/session", json={"token": "wrong"}).status_code == 401
    answer = client.post("/api/session", json={"token": token})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(COOKIE)
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert token not in cookie
    assert client.get("/api/health").json()["allowed"] is True
    answer = client.delete("/api/live/none")
    assert (answer.status_code, "Origin" in answer.json()["detail"]) == (403, True)
    answer = client.delete("/api/live/none", headers={"origin": "http://127.0.0.1:1234"})
    assert answer.status_code == 404


def test_keys_of_a_reading_server_open_nothing():
    assert not Keys(None).right("")
    assert not Keys(None).right("None")


def test_a_large_body_is_refused_before_it_is_read(server):
    port = int(server.address.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(
            b"POST /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10000000\r\n\r\n" + b" " * 1000
        )
        assert line.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_large_body_of_no_length_is_refused(client, token):
    answer = client.post(
        "/api/live",
        content=(b" " * 65536 for _ in range(160)),
        headers={HEADER: token, "content-type": "application/json"},
    )
    assert answer.status_code == 413
    assert f"{MOST_BYTES:,}" in answer.json()["detail"]


def test_headers_given_twice_are_refused(server):
    port = int(server.address.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"spead": 1}, "spead"),
        ({"example": "other"}, "example"),
        ({"days": 0}, "days"),
        ({"days": 10_000}, "days"),
        ({"jobs": 10**9}, "jobs"),
        ({"scale": 1e300}, "scale"),
        ({"speed": -1}, "speed"),
        ({"cores": 0}, "cores"),
        ({"title": "x" * 81}, "title"),
        ({"seed": 2**40}, "seed"),
        ([], "body"),
    ],
)
def test_fields_that_are_unknown_or_wrong_are_named(client, body, told, token):
    answer = client.post("/api/live", json=body, headers={HEADER: token})
    assert answer.status_code == 422
    assert any(told in line for line in answer.json()["fields"])


@pytest.mark.parametrize(
    "body", [b'{"speed": NaN}', b'{"speed": Infinity}', b"{", b"\xff\xfe", b""]
)
def test_what_is_no_json_is_refused(client, body, token):
    headers = {HEADER: token, "content-type": "application/json"}
    assert client.post("/api/live", content=body, headers=headers).status_code == 422


def test_every_answer_is_sealed(client):
    for path in ("/", "/api/runs", "/api/nothing", "/static/live.js", "/report?path=easy"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        scripts = [part for part in policy.split("; ") if part.startswith("script-src")]
        assert scripts == ([] if path.startswith("/report") else ["script-src 'self'"])
