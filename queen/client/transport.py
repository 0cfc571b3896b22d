"""One HTTP request with its time-outs, retries and failover. Knows httpx and nothing of queues.

A call ends in an answer below 300 or in an exception of `queen.errors`; no exception of httpx gets out. A server that
cannot be reached, or answers with 5xx, is left out for a while, and the next try goes to another one at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx

from queen.client.answers import error_of
from queen.client.retry import NO_RETRY, RetryPolicy, retrying
from queen.client.servers import Server, Servers
from queen.errors import InvalidRequest, Overloaded, ServerUnreachable

_CONNECT_TIMEOUT_S = 5.0
_POOL_SHARE = 0.9
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_UNREACHABLE_HINT = "Start a server with `queen serve`, or name a running one with --url or QUEEN_URL."


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: status below 300 and the whole body. `more`: a list goes on behind this page. `repeated`:
    an earlier try of the same call got no answer, so it may have been carried out before."""

    status: int
    body: bytes
    more: bool = False
    repeated: bool = False


@dataclass(slots=True)
class _Call:
    """One call over all its tries."""

    method: str
    path: str
    params: Mapping[str, str] | None
    body: bytes | None
    timeout_s: float
    accepted: Collection[int]
    unanswered: bool = False
    failover: bool = False


class Transport:
    """A pool of kept connections to the servers. `retries` counts the repeated tries of all calls."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeout_s: float,
        token: str | None,
        connections_max: int,
        retry: RetryPolicy,
    ) -> None:
        self._servers = Servers([Server(*_checked(url)) for url in urls])
        self.shown_url = self._servers.shown
        self._timeout_s = timeout_s
        self._retry = retry
        self._connections_max = connections_max
        self._closed = False
        self.reached = False
        self.retries = 0
        limits = httpx.Limits(max_connections=connections_max, max_keepalive_connections=connections_max)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # The environment's proxies are not for a queue that mostly lives on this machine or network.
        self._http = httpx.AsyncClient(headers=headers, limits=limits, timeout=None, trust_env=False)

    async def close(self) -> None:
        self._closed = True
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
        once: bool = False,
        accepted: Collection[int] = (),
    ) -> Answer:
        """Send until answered, refused for good, or out of patience. `timeout_s` bounds each single try; `once` allows
        one try only; statuses that are `accepted` are answers even if they are not below 300."""
        if self._closed:
            raise InvalidRequest("this client is closed")
        call = _Call(method, path, params, body, timeout_s or self._timeout_s, accepted)
        policy = NO_RETRY if once else self._retry
        loop = retrying(policy, lambda: self.reached, self._count_retry, lambda: call.failover)
        answer: Answer = await loop(self._try, call)
        return replace(answer, repeated=call.unanswered)

    async def _try(self, call: _Call) -> Answer:
        server = self._servers.take()
        call.failover = False
        try:
            response = await self._send(server, call)
        except ServerUnreachable as error:
            call.unanswered = call.unanswered or not isinstance(error.__cause__, _NOT_SENT)
            self._leave_out(server, call)
            raise
        self.reached = True
        status = response.status_code
        if status < 300 or status in call.accepted:
            self._servers.worked(server)
            return Answer(status, response.content, response.headers.get("queen-more") == "true")
        refusal = error_of(status, response.headers, response.content)
        if status >= 500:
            # A server that asks to come later has done nothing; any other may have failed after the deed.
            call.unanswered = call.unanswered or not isinstance(refusal, Overloaded)
            self._leave_out(server, call)
        raise refusal

    def _leave_out(self, server: Server, call: _Call) -> None:
        self._servers.failed(server)
        call.failover = self._servers.elsewhere()

    async def _send(self, server: Server, call: _Call) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if call.body is not None else None
        connect_s = min(call.timeout_s, _CONNECT_TIMEOUT_S)
        timeout = httpx.Timeout(call.timeout_s, connect=connect_s, pool=call.timeout_s * _POOL_SHARE)
        try:
            # httpx bounds each read; only the outer clock bounds an answer that drips.
            async with asyncio.timeout(call.timeout_s):
                return await self._http.request(
                    call.method,
                    server.url + call.path,
                    params=call.params,
                    content=call.body,
                    headers=headers,
                    timeout=timeout,
                )
        except httpx.PoolTimeout as error:
            # Nothing of this is the server's.
            text = f"all {self._connections_max} connections of this client were in use for {call.timeout_s:g} s"
            raise Overloaded(text, hint="Allow more with connections_max; a pop that waits holds one.") from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise _unreachable(server, f"no answer within {call.timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise _unreachable(server, _reason(error)) from error

    def _count_retry(self) -> None:
        self.retries += 1


def _unreachable(server: Server, reason: str) -> ServerUnreachable:
    return ServerUnreachable(f"cannot reach {server.shown}: {reason}", hint=_UNREACHABLE_HINT)


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
