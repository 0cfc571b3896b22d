"""Which pages get what, around an application that answers whatever it is told to. No server runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from queen.server.cors import Cors

HOST = "queen.example:6632"
EXPOSED = {"Retry-After", "Queen-Durability", "Queen-More", "Queen-Next-Offset", "Queen-Search"}


class Inner:
    """An application that counts its requests and answers with one status."""

    def __init__(self, status: int = 200) -> None:
        self.asked = 0
        self._answer = Response(b"", status, {"Retry-After": "1"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self._answer(scope, receive, send)


def ask(inner: Inner, method: str, path: str, *origins: str, **headers: str) -> tuple[int, dict[str, str]]:
    """(status, headers) of one request through CORS with these allowed origins."""
    cors = Cors(inner, origins)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in ({"host": HOST} | headers).items()]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": raw}
    asyncio.run(cors(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 408, 413, 429, 500, 503])
def test_an_allowed_page_can_read_every_answer(status: int) -> None:
    found, headers = ask(Inner(status), "POST", "/push", "localhost", origin="http://localhost:5173")
    assert found == status
    assert headers["access-control-allow-origin"] == "http://localhost:5173"
    assert set(headers["access-control-expose-headers"].split(", ")) >= EXPOSED
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/push", {"origin": "https://evil.example"}),
        ("POST", "/push", {"origin": "null"}),
        ("POST", "/push", {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}),
        ("GET", "/api/v1/pop/queue/q", {"origin": "https://evil.example"}),
        ("GET", "/api/v1/pop/queue/q", {"sec_fetch_site": "cross-site"}),
    ],
)
def test_what_a_page_from_elsewhere_sends_is_refused_before_anything_is_done(
    method: str, path: str, headers: dict[str, str]
) -> None:
    inner = Inner()
    status, told = ask(inner, method, path, "localhost", **headers)
    assert (status, inner.asked) == (400, 0)
    assert "access-control-allow-origin" not in told


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/push", {}),
        ("POST", "/push", {"origin": f"http://{HOST}"}),
        ("POST", "/push", {"origin": f"https://{HOST}"}),
        ("POST", "/push", {"origin": "https://proxy.example", "sec_fetch_site": "same-origin"}),
        ("GET", "/api/v1/pop/queue/q", {"sec_fetch_site": "same-origin"}),
        ("GET", "/api/v1/pop/queue/q", {"sec_fetch_site": "none"}),
        ("GET", "/docs", {"sec_fetch_site": "cross-site"}),
    ],
    ids=["program", "own page", "own page behind tls", "page behind a proxy", "own pop", "typed", "link to the docs"],
)
def test_programs_the_own_page_and_links_are_served(method: str, path: str, headers: dict[str, str]) -> None:
    inner = Inner()
    assert ask(inner, method, path, "localhost", **headers)[0] == 200
    assert inner.asked == 1


def test_with_a_star_every_page_is_served() -> None:
    for headers in ({"origin": "https://any.example"}, {"sec_fetch_site": "cross-site"}):
        assert ask(Inner(), "GET", "/api/v1/pop/queue/q", "*", **headers)[0] == 200


def test_a_named_page_of_the_internet_may_call_this_machine() -> None:
    status, headers = ask(
        Inner(),
        "OPTIONS",
        "/push",
        "https://app.example",
        origin="https://app.example",
        access_control_request_method="POST",
        access_control_request_private_network="true",
    )
    assert (status, headers["access-control-allow-private-network"]) == (204, "true")
    assert headers["access-control-allow-credentials"] == "true"
