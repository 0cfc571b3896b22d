"""The client for ordinary code: the verbs of `Client` as calls that wait.

One thread with an event loop does the work of all callers, so connections are kept and shared. Nothing is written
twice: each method is the async one, run there.

After a fork the child's first call makes a thread and connections of its own; the parent's are left alone. A producer
does not survive a fork: make it in the process that uses it.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack

from queen.client.client import Client
from queen.client.consumer import Consumed, ConsumeOptions, Consumer
from queen.client.messages import Message
from queen.client.portal import Portal
from queen.client.producer import Produced, Producer, ProducerOptions
from queen.client.retry import RetryPolicy

_Options = ParamSpec("_Options")
_Result = TypeVar("_Result")


def _waiting(
    verb: Callable[Concatenate[Client, _Options], Coroutine[Any, Any, _Result]],
) -> Callable[Concatenate[SyncClient, _Options], _Result]:
    """A verb of the async client as a method that waits for its result."""

    @wraps(verb)
    def call(self: SyncClient, /, *values: _Options.args, **options: _Options.kwargs) -> _Result:
        return self._portal.run(verb(self._client, *values, **options))

    return call


def _putting(
    verb: Callable[Concatenate[Producer, _Options], Coroutine[Any, Any, _Result]],
) -> Callable[Concatenate[SyncProducer, _Options], _Result]:
    """The same for a producer."""

    @wraps(verb)
    def call(self: SyncProducer, /, *values: _Options.args, **options: _Options.kwargs) -> _Result:
        return self._portal.run(verb(self._producer, *values, **options))

    return call


class SyncClient:
    """A client for threads; a context manager. Safe for many threads at once, and across a fork. Arguments, errors and
    bounds are those of `Client`."""

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        timeout_s: float = 30.0,
        token: str | None = None,
        connections_max: int = 100,
        retry: RetryPolicy | None = None,
    ) -> None:
        def make() -> Client:
            return Client(url, timeout_s=timeout_s, token=token, connections_max=connections_max, retry=retry)

        self._make = make
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Start from nothing: when made, and in the child of a fork, where the thread is gone."""
        self._client = self._make()
        self._portal = Portal()
        self._stops: set[asyncio.Event] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The servers' URLs, without credentials."""
        return self._client.url

    push = _waiting(Client.push)
    pop = _waiting(Client.pop)
    ack = _waiting(Client.ack)
    settle = _waiting(Client.settle)
    extend = _waiting(Client.extend)
    transaction = _waiting(Client.transaction)
    configure = _waiting(Client.configure)
    queues = _waiting(Client.queues)
    queue = _waiting(Client.queue)
    delete_queue = _waiting(Client.delete_queue)
    groups = _waiting(Client.groups)
    seek_group = _waiting(Client.seek_group)
    delete_group = _waiting(Client.delete_group)
    dead_letters = _waiting(Client.dead_letters)
    replay = _waiting(Client.replay)
    health = _waiting(Client.health)
    metrics = _waiting(Client.metrics)
    get = _waiting(Client.get)
    post = _waiting(Client.post)
    delete = _waiting(Client.delete)

    def consume(self, queue: str, handler: Callable[[Message], object], **options: Unpack[ConsumeOptions]) -> Consumed:
        """Hand every message of a queue to `handler`, in threads of its own, as many as `concurrency` says; until
        `stop` is called. Ctrl-C ends it in the same way, and is then raised; a second one does not wait for handlers.
        """
        stop = asyncio.Event()
        self._stops.add(stop)
        work = self._consume(queue, handler, stop, options)
        try:
            return self._portal.run(work, on_interrupt=stop.set)
        finally:
            self._stops.discard(stop)

    def stop(self) -> None:
        """Ask every `consume` of this client to end; returns at once. For any thread, handler or signal handler."""
        for stop in list(self._stops):
            self._portal.tell(stop.set)

    def producer(self, **options: Unpack[ProducerOptions]) -> SyncProducer:
        """A buffer in front of `push`; leave its `with` block to store the rest."""
        return SyncProducer(self._portal, Producer(self._client, **options))

    def close(self) -> None:
        """End what runs, close all connections, end the thread. A second call does nothing."""
        self._portal.close(self._client.close())

    async def _consume(
        self, queue: str, handler: Callable[[Message], object], stop: asyncio.Event, options: ConsumeOptions
    ) -> Consumed:
        loop = asyncio.get_running_loop()
        threads = ThreadPoolExecutor(max(1, options.get("concurrency", 1)), "queen-handler")

        async def handle(message: Message) -> None:
            await loop.run_in_executor(threads, handler, message)

        try:
            return await Consumer(self._client, queue, handle, stop, **options).run()
        finally:
            # Not waited for: a handler that still runs after a cancellation may itself wait for this loop.
            threads.shutdown(wait=False, cancel_futures=True)


class SyncProducer:
    """A producer for threads; a context manager that stores the rest when it is left. Safe for many threads at once."""

    def __init__(self, portal: Portal, producer: Producer) -> None:
        self._portal = portal
        self._producer = producer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def produced(self) -> Produced:
        """The counts so far."""
        return self._producer.produced

    @property
    def pending(self) -> int:
        """Messages that wait or are under way."""
        return self._producer.pending

    put = _putting(Producer.put)
    put_all = _putting(Producer.put_all)
    flush = _putting(Producer.flush)
    close = _putting(Producer.close)


_all: weakref.WeakSet[SyncClient] = weakref.WeakSet()


# What a child got from its parent stays untouched and alive: taking it down would disturb the parent's sockets.
_parents: list[object] = []


def _begin_again() -> None:
    for client in list(_all):
        _parents.append((client._client, client._portal))
        client._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)
