"""The verbs of the HTTP API as methods. Knows routes and parameters; retries and time-outs are the transport's.

Every method raises classes of `queen.errors`: `ServerUnreachable` when no try reached the server, `InvalidRequest`,
`NotFound` or `AccessDenied` when it refused, `Overloaded` or `StoreUnavailable` when it kept asking to come back later.
What happens to single messages of a push or an ack is returned, not raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import msgspec

from queen.client import messages as codec
from queen.client.messages import Ack, Acked, LeasedBatch, Message, NewMessage, Pushed
from queen.client.retry import RetryPolicy
from queen.client.transport import Answer, Transport
from queen.errors import ServerUnreachable

_POP_GRACE_S = 5.0


class Client:
    """A client of one server; use it as an async context manager. Safe for many tasks at once.

    `timeout_s` bounds one try of a request (a waiting pop adds its own wait); `retry` bounds all tries of a call.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        token: str | None = None,
        connections_max: int = 100,
        retry: RetryPolicy | None = None,
    ) -> None:
        retry = retry or RetryPolicy()
        self._transport = Transport(
            url,
            timeout_s=timeout_s,
            token=token,
            connections_max=connections_max,
            retry=retry,
        )
        self._timeout_s = timeout_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.close()

    @property
    def url(self) -> str:
        """The server's URL, without credentials."""
        return self._transport.shown_url

    @property
    def retries(self) -> int:
        """How many tries were repeated so far, over all calls."""
        return self._transport.retries

    async def push(self, messages: Sequence[NewMessage]) -> list[Pushed]:
        """Store messages; one result per message in the same order. `failed` items are returned, not raised."""
        answer = await self._transport.request("POST", "/api/v1/push", body=codec.encode_push(messages))
        with _queens_answer(self.url):
            return codec.decode_pushed(answer.body, len(messages))

    async def pop(
        self,
        queue: str,
        *,
        partition: str | None = None,
        group: str | None = None,
        batch: int = 100,
        partitions: int = 1,
        wait: bool = False,
        wait_ms: int = 30_000,
        lease_seconds: int | None = None,
        subscription_mode: str | None = None,
        auto_ack: bool = False,
    ) -> LeasedBatch:
        """Lease up to `batch` messages of up to `partitions` partitions (0: any number). With `wait`, the server waits
        up to `wait_ms` for something to come. The batch is empty when nothing was there. With `auto_ack` the messages
        are acked at delivery, without a lease: a lost answer is a lost batch."""
        path = f"/api/v1/pop/queue/{_segment(queue)}"
        if partition is not None:
            path += f"/partition/{_segment(partition)}"
        params = _pop_params(
            batch,
            partitions,
            group,
            wait_ms if wait else None,
            lease_seconds,
            subscription_mode,
            auto_ack=auto_ack,
        )
        timeout_s = max(self._timeout_s, wait_ms / 1000 + _POP_GRACE_S) if wait else self._timeout_s
        answer = await self._transport.request("GET", path, params=params, timeout_s=timeout_s)
        with _queens_answer(self.url):
            return codec.EMPTY if answer.status == 204 else codec.decode_pop(answer.body)

    async def ack(
        self,
        messages: Sequence[Message],
        status: str = "completed",
        error: str | None = None,
    ) -> list[Acked]:
        """Settle messages of one consumer group as `completed`, `failed`, `retry` (give back) or `dlq`."""
        return await self.settle([Ack(message, status, error) for message in messages])

    async def settle(self, acks: Sequence[Ack]) -> list[Acked]:
        """Settle messages of one consumer group, each as its `Ack` says, in one request."""
        if not acks:
            return []
        answer = await self._transport.request("POST", "/api/v1/ack/batch", body=codec.encode_ack(acks))
        with _queens_answer(self.url):
            return codec.decode_acked(answer.body, len(acks))

    async def extend(self, lease_id: str, seconds: int = 60) -> dict[str, Any]:
        """Move the end of a lease to at least `seconds` from now. `renewed` of the answer is 0 when it was lost."""
        body = msgspec.json.encode({"seconds": seconds})
        answer = await self._transport.request("POST", f"/api/v1/lease/{_segment(lease_id)}/extend", body=body)
        return self._object(answer)

    async def configure(self, queue: str, options: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Create a queue or change its options; the answer holds the effective ones."""
        body = msgspec.json.encode({"queue": queue, "options": dict(options or {})})
        return self._object(await self._transport.request("POST", "/api/v1/configure", body=body))

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The decoded answer of any GET route; None when it has no body."""
        answer = await self._transport.request("GET", path, params=params)
        with _queens_answer(self.url):
            return msgspec.json.decode(answer.body) if answer.body else None

    async def delete(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The decoded answer of any DELETE route; None when it has no body."""
        answer = await self._transport.request("DELETE", path, params=params)
        with _queens_answer(self.url):
            return msgspec.json.decode(answer.body) if answer.body else None

    def _object(self, answer: Answer) -> dict[str, Any]:
        with _queens_answer(self.url):
            return msgspec.json.decode(answer.body, type=dict[str, Any])


@contextmanager
def _queens_answer(url: str) -> Iterator[None]:
    """Turns a 2xx answer that does not read as Queen's into an error that says so."""
    try:
        yield
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "Check the URL: another program may be listening there."
        raise ServerUnreachable(f"{url} answers, but not as a Queen server: {error}", hint=hint) from error


def _segment(name: str) -> str:
    """A name as one path segment. Dots of `.` and `..` are escaped too, or the path would be shortened."""
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def _pop_params(
    batch: int,
    partitions: int,
    group: str | None,
    wait_ms: int | None,
    lease_seconds: int | None,
    subscription_mode: str | None,
    *,
    auto_ack: bool,
) -> dict[str, str]:
    params = {"batch": str(batch), "partitions": str(partitions)}
    if wait_ms is not None:
        params |= {"wait": "true", "timeout": str(wait_ms)}
    if group:
        params["consumerGroup"] = group
    if lease_seconds is not None:
        params["leaseSeconds"] = str(lease_seconds)
    if subscription_mode is not None:
        params["subscriptionMode"] = subscription_mode
    if auto_ack:
        params["autoAck"] = "true"
    return params
