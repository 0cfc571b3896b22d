"""The async client: all verbs, the loop that consumes, the producer with a buffer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self, Unpack

from queen.client.administration import Administration
from queen.client.consumer import Consumed, ConsumeOptions, Consumer, Handler
from queen.client.producer import Producer, ProducerOptions
from queen.client.retry import RetryPolicy
from queen.errors import InvalidRequest


class Client(Administration):
    """A client of one server, or of several that serve one database; an async context manager. Safe for many tasks of
    one event loop at once.

    `url` is one URL or several: requests go round, and a server that cannot be reached or answers with 5xx is left out
    for 5 seconds. `timeout_s` bounds one try of a request in seconds (a waiting pop adds its own wait); `retry` bounds
    all tries of a call. `connections_max` bounds the connections to all servers together; a pop that waits holds one.
    `token` is sent as bearer token.

    Every method raises classes of `queen.errors`: `ServerUnreachable` when no try reached a server, `InvalidRequest`,
    `NotFound` or `AccessDenied` when it refused, `Overloaded` or `StoreUnavailable` when it kept asking to come back
    later. What happens to single messages of a push or an ack is returned, not raised. A cancelled call may have been
    carried out or not; no call leaves anything running behind.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        timeout_s: float = 30.0,
        token: str | None = None,
        connections_max: int = 100,
        retry: RetryPolicy | None = None,
    ) -> None:
        urls = [url] if isinstance(url, str) else list(url)
        if not urls:
            raise InvalidRequest("a client needs the URL of a server")
        super().__init__(
            urls, timeout_s=timeout_s, token=token, connections_max=connections_max, retry=retry or RetryPolicy()
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. Consumers and producers of this client are to be ended before."""
        await self._transport.close()

    async def consume(
        self, queue: str, handler: Handler, *, stop: asyncio.Event | None = None, **options: Unpack[ConsumeOptions]
    ) -> Consumed:
        """Hand every message of a queue to `handler`, and complete it when the handler returns; until `stop` is set.
        `ConsumeOptions` tells the options.

        When `stop` is set, handlers that run may finish, and what was not begun is given back. When the call is
        cancelled, handlers are cancelled too. A handler may be called twice for one message, so it should not mind.
        An outage of the servers passes; what cannot pass, such as AccessDenied, is raised."""
        return await Consumer(self, queue, handler, stop or asyncio.Event(), **options).run()

    def producer(self, **options: Unpack[ProducerOptions]) -> Producer:
        """A buffer in front of `push`; leave its `async with` block to store the rest. `ProducerOptions` tells the
        options."""
        return Producer(self, **options)
