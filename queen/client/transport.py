"""One HTTP request with its time-outs and retries. Knows httpx and nothing of queues.

A call ends in an answer below 300 or in an exception of `queen.errors`; no exception of httpx gets out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from queen.client.answers import error_of
from queen.client.retry import RetryPolicy, retrying
from queen.errors import InvalidRequest, ServerUnreachable

_CONNECT_TIMEOUT_S = 5.0
_UNREACHABLE_HINT = "Start a server with `queen serve`, or name a running one with --url or QUEEN_URL."


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: status below 300 and the whole body."""

    status: int
    body: bytes


class Transport:
    """A pool of kept connections to one server. `retries` counts the repeated tries of all calls."""

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        token: str | None,
        connections_max: int,
        retry: RetryPolicy,
    ) -> None:
        self._url, self.shown_url = _checked(url)
        self._timeout_s = timeout_s
        self._retry = retry
        self._reached = False
        self.retries = 0
        limits = httpx.Limits(max_connections=connections_max, max_keepalive_connections=connections_max)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # The environment's proxies are not for a queue that mostly lives on this machine or network.
        self._http = httpx.AsyncClient(headers=headers, limits=limits, timeout=None, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send until answered, refused for good, or out of patience. `timeout_s` bounds each single try."""
        loop = retrying(self._retry, lambda: self._reached, self._count_retry)
        answer: Answer = await loop(self._try, method, path, params, body, timeout_s or self._timeout_s)
        return answer

    async def _try(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        timeout_s: float,
    ) -> Answer:
        response = await self._send(method, path, params, body, timeout_s)
        self._reached = True
        if response.status_code >= 300:
            raise error_of(response.status_code, response.headers, response.content)
        return Answer(response.status_code, response.content)

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        timeout_s: float,
    ) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if body is not None else None
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))
        try:
            # httpx bounds each read; only the outer clock bounds an answer that drips.
            async with asyncio.timeout(timeout_s):
                return await self._http.request(
                    method,
                    self._url + path,
                    params=params,
                    content=body,
                    headers=headers,
                    timeout=timeout,
                )
        except (httpx.TimeoutException, TimeoutError) as error:
            raise self._unreachable(f"no answer within {timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise self._unreachable(_reason(error)) from error

    def _unreachable(self, reason: str) -> ServerUnreachable:
        return ServerUnreachable(f"cannot reach {self.shown_url}: {reason}", hint=_UNREACHABLE_HINT)

    def _count_retry(self) -> None:
        self.retries += 1


def _checked(url: str) -> tuple[str, str]:
    """(base URL without a closing slash, the same without credentials for messages), or InvalidRequest."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        valid = False
    if not valid or parts.query or parts.fragment:
        raise InvalidRequest(
            f"not a server URL: {url.rpartition('@')[2]!r}",
            hint="Write it as http://HOST:PORT, such as http://127.0.0.1:6632.",
        )
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return parts.geturl().rstrip("/"), shown.geturl().rstrip("/")


def _reason(error: httpx.HTTPError) -> str:
    """The cause in plain words: the innermost system error when there is one, since httpx's own text is often empty."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
