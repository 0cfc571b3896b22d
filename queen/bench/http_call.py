"""A few slow calls to a server: is it a ready Queen, configure a queue, delete it. The load itself is `connection`'s.

Each call is one request in a thread; proxies of the environment are not asked. Knows no run.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from queen.errors import NotQueen, QueenError, ServerFailed, ServerUnreachable, SettingsError

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_BODY_BYTES_MAX = 16_000_000
_HINT = "start one with `queen serve`, or leave out --url and bench starts its own"


def address(url: str) -> tuple[str, int]:
    """Host and port of a URL. Raises SettingsError for anything but http://HOST[:PORT]."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 6632
    except ValueError:
        host, port, parts = None, 0, urlsplit("")
    if parts.scheme != "http" or not host or parts.path.strip("/") or parts.query or parts.username:
        raise SettingsError(f"cannot use {url!r} as a server", hint="write it as http://HOST:PORT")
    return host, port


def ask(url: str, method: str, path: str, body: Mapping[str, Any] | None = None, timeout_s: float = 10) -> Any:
    """The JSON of the answer, None for an empty one. Raises ServerUnreachable, NotQueen; QueenError for a refusal."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # address() lets http through alone
        url.rstrip("/") + path, data, {"Content-Type": "application/json"}, method=method
    )
    try:
        with _OPENER.open(request, timeout=timeout_s) as answer:
            return _decoded(answer.read(_BODY_BYTES_MAX), url)
    except urllib.error.HTTPError as error:
        raise _refusal(error, url, path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ServerUnreachable(f"no server answers at {url}: {_short(reason)}", hint=_HINT) from error
    except Exception as error:  # http.client raises its own classes for an answer that is no HTTP
        raise NotQueen(f"what answers at {url} does not speak HTTP: {_short(error)}", hint=_HINT) from error


async def call(
    url: str, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = 10
) -> Any:
    """The same, off the event loop."""
    return await asyncio.to_thread(ask, url, method, path, body, timeout_s)


def check_queen(url: str) -> dict[str, Any]:
    """What /health says of a server that is Queen. Raises ServerUnreachable when none answers or it is not ready,
    NotQueen when another program does."""
    address(url)
    try:
        health = ask(url, "GET", "/health")
    except ServerFailed as error:
        raise ServerFailed(f"the server at {url} is not healthy: {error.message}", hint=error.hint) from error
    except (NotQueen, ServerUnreachable):
        raise
    except QueenError as error:
        raise NotQueen(f"what answers at {url} is not a Queen server: {error.message}", hint=_HINT) from error
    if not isinstance(health, dict) or "status" not in health or "database" not in health:
        raise NotQueen(f"what answers at {url} is not a Queen server: its /health says something else", hint=_HINT)
    return health


def queue_path(queue: str) -> str:
    """The path of a queue as a resource."""
    return f"/api/v1/resources/queues/{quote(queue, safe='')}"


def _decoded(content: bytes, url: str) -> Any:
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise NotQueen(f"what answers at {url} is not a Queen server: its answer is no JSON", hint=_HINT) from error


def _refusal(error: urllib.error.HTTPError, url: str, path: str) -> QueenError:
    try:
        said = json.loads(error.read(65_536))
        text = str(said.get("error") or said.get("status") or f"HTTP {error.code}")
    except (ValueError, OSError, AttributeError):
        text = f"HTTP {error.code}"
    if error.code >= 500:
        return ServerFailed(f"{path}: {text}")
    return QueenError(f"the server refused {path}: {text}")


def _short(error: object) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
